package machine

import (
	"context"
	"net/netip"
	"slices"

	"github.com/cosi-project/runtime/pkg/safe"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"

	"github.com/bronze-os/bronze/images/boot"
)

// controlPlane is another control plane of the cluster as discovery tells it.
type controlPlane struct {
	address netip.Addr
	// apiPort is where its kube-apiserver serves.
	apiPort int
}

// controlPlanes are the cluster's control planes without this node, by address. It reads what discovery has published,
// and asks nobody.
func (m *Machine) controlPlanes(ctx context.Context) []controlPlane {
	members, err := safe.StateListAll[*cluster.Member](ctx, m.state)
	if err != nil {
		return nil
	}

	var specs []cluster.MemberSpec
	for member := range members.All() {
		specs = append(specs, *member.TypedSpec())
	}

	return otherControlPlanes(specs, m.identity.NodeID, m.network())
}

// controlPlaneAddresses are those of controlPlanes.
func (m *Machine) controlPlaneAddresses(ctx context.Context) []netip.Addr {
	var addresses []netip.Addr
	for _, other := range m.controlPlanes(ctx) {
		addresses = append(addresses, other.address)
	}

	return addresses
}

// network is the one that the node shares with the others.
func (m *Machine) network() netip.Prefix {
	for _, own := range m.addresses.List() {
		if own.Addr() == m.ip {
			return own.Masked()
		}
	}

	return netip.PrefixFrom(m.ip, m.ip.BitLen())
}

// otherControlPlanes picks one address of each control plane but the node itself: one in the shared network, else the
// first that the member tells. An address that two members claim counts once.
func otherControlPlanes(members []cluster.MemberSpec, self string, shared netip.Prefix) []controlPlane {
	var others []controlPlane

	for _, member := range members {
		isControlPlane := member.MachineType == machinetype.TypeControlPlane || member.MachineType == machinetype.TypeInit
		if !isControlPlane || member.NodeID == self || len(member.Addresses) == 0 {
			continue
		}

		other := controlPlane{address: member.Addresses[0], apiPort: kubernetesPort(member.ControlPlane)}
		if i := slices.IndexFunc(member.Addresses, shared.Contains); i >= 0 {
			other.address = member.Addresses[i]
		}

		others = append(others, other)
	}

	slices.SortFunc(others, func(a, b controlPlane) int { return a.address.Compare(b.address) })

	return slices.CompactFunc(others, func(a, b controlPlane) bool { return a.address == b.address })
}

func kubernetesPort(told *cluster.ControlPlane) int {
	if told == nil || told.APIServerPort == 0 {
		return boot.KubernetesPort
	}

	return told.APIServerPort
}
