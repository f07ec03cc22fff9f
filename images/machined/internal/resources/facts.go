package resources

import (
	"net/netip"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/wire"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// nodeAddresses are the lists of addresses that a node publishes.
type nodeAddresses struct {
	current []netip.Prefix
	// first is the node's main address, which stays the same as long as the node has it.
	first netip.Prefix
	// ever also holds addresses that the node has no more.
	ever []netip.Prefix
}

func (n nodeAddresses) next(now []netip.Prefix) nodeAddresses {
	next := nodeAddresses{current: now, first: n.first, ever: slices.Clone(n.ever)}

	if !slices.Contains(now, n.first) {
		next.first = mainAddress(now)
	}

	for _, address := range now {
		if !slices.Contains(next.ever, address) {
			next.ever = append(next.ever, address)
		}
	}

	return next
}

// mainAddress is the oldest interface's, of IPv4 when there is one. The zero prefix means that there is none.
func mainAddress(all []netip.Prefix) netip.Prefix {
	for _, address := range all {
		if address.Addr().Is4() {
			return address
		}
	}

	if len(all) > 0 {
		return all[0]
	}

	return netip.Prefix{}
}

func (n nodeAddresses) byID() map[string][]netip.Prefix {
	lists := map[string][]netip.Prefix{
		network.NodeAddressCurrentID:      n.current,
		network.NodeAddressRoutedID:       n.current,
		network.NodeAddressAccumulativeID: n.ever,
	}

	if n.first.IsValid() {
		lists[network.NodeAddressDefaultID] = []netip.Prefix{n.first}
	}

	return lists
}

// resources are all lists, and of those that hold many also what lies in the networks of Kubernetes and what does not.
func (n nodeAddresses) resources(kubernetes []netip.Prefix) *publish.Set {
	var set publish.Set
	set.Kind(&network.NodeAddress{})

	add := func(id string, list []netip.Prefix) {
		addresses := network.NewNodeAddress(network.NamespaceName, id)
		addresses.TypedSpec().Addresses = list
		set.Add(addresses)
	}

	for id, list := range n.byID() {
		add(id, list)

		if id != network.NodeAddressDefaultID {
			inside, outside := split(list, kubernetes)
			add(network.FilteredNodeAddressID(id, k8s.NodeAddressFilterOnlyK8s), inside)
			add(network.FilteredNodeAddressID(id, k8s.NodeAddressFilterNoK8s), outside)
		}
	}

	status := network.NewStatus(network.NamespaceName, network.StatusID)
	// The engine gave the node its name, its network and its files before machined began.
	*status.TypedSpec() = network.StatusSpec{
		AddressReady: n.first.IsValid(), ConnectivityReady: n.first.IsValid(), HostnameReady: true, EtcFilesReady: true,
	}
	set.Add(status)

	return &set
}

// split tells the addresses that lie in one of the networks from the others.
func split(list, networks []netip.Prefix) (inside, outside []netip.Prefix) {
	for _, address := range list {
		if slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(address.Addr()) }) {
			inside = append(inside, address)
		} else {
			outside = append(outside, address)
		}
	}

	return inside, outside
}

// serviceEvents are what happened to a service between two looks at it.
func serviceEvents(before, after service.Status) []*machine.ServiceStateEvent {
	var events []*machine.ServiceStateEvent

	for _, event := range after.Events {
		if !slices.Contains(before.Events, event) {
			events = append(events, wire.ServiceEvent(after, event.State, event.Message))
		}
	}

	if before.Health != after.Health && !after.Health.Unknown {
		events = append(events, wire.ServiceEvent(after, after.State, healthMessage(after.Health)))
	}

	return events
}

func healthMessage(health service.Health) string {
	if health.Healthy {
		return "health check succeeded"
	}

	return "health check failed: " + health.Message
}
