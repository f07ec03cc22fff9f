package machine

import (
	"context"
	"net/netip"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

// memberAddress finds the address of the node that is known by a name: a member's host name or ID. With false, none is, or
// discovery has told of none yet.
func memberAddress(ctx context.Context, st state.State, name string) (netip.Addr, bool) {
	members, err := safe.StateListAll[*cluster.Member](ctx, st)
	if err != nil {
		return netip.Addr{}, false
	}

	for member := range members.All() {
		spec := member.TypedSpec()
		if (spec.Hostname == name || member.Metadata().ID() == name) && len(spec.Addresses) > 0 {
			return spec.Addresses[0], true
		}
	}

	return netip.Addr{}, false
}
