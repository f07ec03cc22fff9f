package resources

import (
	"net/netip"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/wire"
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
