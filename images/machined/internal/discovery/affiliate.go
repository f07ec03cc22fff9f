package discovery

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/siderolabs/discovery-api/api/v1alpha1/client/pb"
	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

// self is what a node says of itself.
func (o Options) self(cfg config.Config, addresses []netip.Prefix) cluster.AffiliateSpec {
	spec := cluster.AffiliateSpec{
		NodeID:    o.NodeID,
		Addresses: announced(o.IP, addresses, cfg),
		// Both names are the host's, as a node in a container has no domain.
		Hostname:        o.Hostname,
		Nodename:        o.Hostname,
		OperatingSystem: fmt.Sprintf("Bronze (%s)", o.Version),
		MachineType:     cfg.Machine().Type(),
	}

	if cfg.Machine().Type().IsControlPlane() {
		spec.ControlPlane = &cluster.ControlPlane{APIServerPort: cfg.Cluster().LocalAPIServerPort()}
	}

	return spec
}

// announced are the addresses at which other nodes reach this one, the main one first: not those of pods and Services.
func announced(main netip.Addr, addresses []netip.Prefix, cfg config.Config) []netip.Addr {
	var inner []netip.Prefix

	for _, text := range slices.Concat(cfg.Cluster().Network().PodCIDRs(), cfg.Cluster().Network().ServiceCIDRs()) {
		if network, err := netip.ParsePrefix(text); err == nil {
			inner = append(inner, network)
		}
	}

	result := []netip.Addr{}

	for _, address := range addresses {
		if !slices.ContainsFunc(inner, func(network netip.Prefix) bool { return network.Contains(address.Addr()) }) {
			result = append(result, address.Addr())
		}
	}

	if i := slices.Index(result, main); i > 0 {
		result = slices.Insert(slices.Delete(result, i, i+1), 0, main)
	}

	return result
}

// encode makes a message of what a node says of itself.
func encode(spec cluster.AffiliateSpec) *pb.Affiliate {
	message := &pb.Affiliate{
		NodeId: spec.NodeID, Hostname: spec.Hostname, Nodename: spec.Nodename,
		MachineType: spec.MachineType.String(), OperatingSystem: spec.OperatingSystem,
	}

	for _, address := range spec.Addresses {
		message.Addresses = append(message.Addresses, address.AsSlice())
	}

	if spec.ControlPlane != nil {
		message.ControlPlane = &pb.ControlPlane{ApiServerPort: uint32(spec.ControlPlane.APIServerPort)}
	}

	return message
}

// decode reads what a node, of Bronze or of Talos, says of itself. What it cannot read of it is left out, as Talos does,
// so that a newer node is still known by the rest. KubeSpan is left out always: a Bronze node has none.
func decode(message *pb.Affiliate) cluster.AffiliateSpec {
	spec := cluster.AffiliateSpec{
		NodeID: message.GetNodeId(), Hostname: message.GetHostname(), Nodename: message.GetNodename(),
		OperatingSystem: message.GetOperatingSystem(), Addresses: []netip.Addr{},
	}

	if kind, err := machine.ParseType(message.GetMachineType()); err == nil {
		spec.MachineType = kind
	}

	for _, bytes := range message.GetAddresses() {
		if address, ok := netip.AddrFromSlice(bytes); ok {
			spec.Addresses = append(spec.Addresses, address)
		}
	}

	if controlPlane := message.GetControlPlane(); controlPlane != nil && controlPlane.GetApiServerPort() <= 65535 {
		spec.ControlPlane = &cluster.ControlPlane{APIServerPort: int(controlPlane.GetApiServerPort())}
	}

	return spec
}
