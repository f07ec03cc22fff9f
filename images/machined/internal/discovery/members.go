package discovery

import (
	"cmp"
	"slices"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

// suffixLength is how many characters of its ID tell a member from another of the same name.
const suffixLength = 8

// members are the nodes under the IDs that users know them by: their names, as in Talos. Where two nodes have one name,
// as when a node was made anew and its predecessor is not forgotten yet, the name is of the one that was heard of
// last, and the other's ends in a part of its node ID; so none hides the other, and both stay as long as both are there.
// self, whose name no other can take here, is nil where discovery is off.
func members(self *cluster.AffiliateSpec, others []affiliate) map[resource.ID]cluster.MemberSpec {
	result := map[resource.ID]cluster.MemberSpec{}

	if self != nil {
		result[self.Nodename] = member(*self)
	}

	// The last heard of first; node IDs decide between those of one snapshot, so that it is always the same.
	ordered := slices.SortedFunc(slices.Values(others), func(a, b affiliate) int {
		return cmp.Or(b.first.Compare(a.first), cmp.Compare(a.NodeID, b.NodeID))
	})

	for _, a := range ordered {
		// A node that does not know its name yet is no member.
		if a.Nodename == "" {
			continue
		}

		id := a.Nodename
		if _, taken := result[id]; taken {
			id += "-" + a.NodeID[:min(suffixLength, len(a.NodeID))]
		}

		// Node IDs that begin alike do not happen by chance.
		if _, taken := result[id]; taken {
			id = a.Nodename + "-" + a.NodeID
		}

		result[id] = member(a.AffiliateSpec)
	}

	return result
}

func member(spec cluster.AffiliateSpec) cluster.MemberSpec {
	return cluster.MemberSpec{
		NodeID: spec.NodeID, Addresses: spec.Addresses, Hostname: spec.Hostname,
		MachineType: spec.MachineType, OperatingSystem: spec.OperatingSystem, ControlPlane: spec.ControlPlane,
	}
}
