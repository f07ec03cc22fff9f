package netstate

import (
	"net"
	"net/netip"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/nethelpers"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// Resources are the tables in Talos's form.
func (n Network) Resources() *publish.Set {
	var set publish.Set
	set.Kind(&network.LinkStatus{}, &network.HardwareAddr{}, &network.AddressStatus{}, &network.RouteStatus{}, &network.RoutingRuleStatus{})

	names := map[int]string{}

	for _, link := range n.Links {
		names[link.Attrs().Index] = link.Attrs().Name
		set.Add(linkStatus(link))
	}

	if first, ok := n.card(); ok {
		card := network.NewHardwareAddr(network.NamespaceName, network.FirstHardwareAddr)
		card.TypedSpec().Name = first.Attrs().Name
		card.TypedSpec().HardwareAddr = nethelpers.HardwareAddr(first.Attrs().HardwareAddr)
		set.Add(card)
	}

	for _, address := range n.Addresses {
		set.Add(addressStatus(address, names[address.LinkIndex]))
	}

	for _, route := range n.Routes {
		set.Add(routeStatus(route, names[route.LinkIndex]))
	}

	for _, rule := range n.Rules {
		// The kernel also lists the rules of multicast routing.
		if rule.Family == netlink.FAMILY_V4 || rule.Family == netlink.FAMILY_V6 {
			set.Add(ruleStatus(rule))
		}
	}

	return &set
}

// card is the interface by which the node is in its network: that of the default route, or else the first that is no
// loopback. The numbers of interfaces do not tell it, as an engine gives a container's a higher one than a bridge's in it.
func (n Network) card() (netlink.Link, bool) {
	way := slices.IndexFunc(n.Routes, func(route netlink.Route) bool {
		return destinationOf(route.Dst) == netip.Prefix{} && route.Table == unix.RT_TABLE_MAIN
	})

	at := slices.IndexFunc(n.Links, func(link netlink.Link) bool {
		attributes := link.Attrs()
		if way >= 0 {
			return attributes.Index == n.Routes[way].LinkIndex
		}

		return attributes.RawFlags&unix.IFF_LOOPBACK == 0 && len(attributes.HardwareAddr) > 0
	})
	if at < 0 {
		return nil, false
	}

	return n.Links[at], true
}

func linkStatus(link netlink.Link) *network.LinkStatus {
	attributes := link.Attrs()
	status := network.NewLinkStatus(network.NamespaceName, network.LinkID(attributes.Name))

	// A kind of link that Talos has no name for is shown as Ethernet, as most are.
	kind, err := nethelpers.LinkTypeString(attributes.EncapType)
	if err != nil {
		kind = nethelpers.LinkEther
	}

	*status.TypedSpec() = network.LinkStatusSpec{
		Alias:            attributes.Alias,
		AltNames:         attributes.AltNames,
		Index:            uint32(attributes.Index),
		Type:             kind,
		LinkIndex:        uint32(attributes.ParentIndex),
		Flags:            nethelpers.LinkFlags(attributes.RawFlags),
		HardwareAddr:     nethelpers.HardwareAddr(attributes.HardwareAddr),
		PermanentAddr:    nethelpers.HardwareAddr(attributes.PermHWAddr),
		MTU:              uint32(attributes.MTU),
		MasterIndex:      uint32(attributes.MasterIndex),
		OperationalState: nethelpers.OperationalState(attributes.OperState),
		Kind:             kindOf(link),
		// What ethtool would tell does not exist for the virtual links of a container.
		LinkState: attributes.RawFlags&unix.IFF_LOWER_UP != 0,
		Port:      nethelpers.Other,
		Duplex:    nethelpers.Unknown,
	}

	if attributes.Slave != nil {
		status.TypedSpec().SlaveKind = attributes.Slave.SlaveType()
	}

	if vlan, ok := link.(*netlink.Vlan); ok {
		status.TypedSpec().VLAN = network.VLANSpec{VID: uint16(vlan.VlanId), Protocol: nethelpers.VLANProtocol(vlan.VlanProtocol)}
	}

	return status
}

// kindOf is empty for a link that is not virtual, which netlink calls a device.
func kindOf(link netlink.Link) string {
	if kind := link.Type(); kind != "device" {
		return kind
	}

	return ""
}

func addressStatus(address netlink.Addr, link string) *network.AddressStatus {
	own := prefixOf(address.IPNet)
	status := network.NewAddressStatus(network.NamespaceName, network.AddressID(link, own))

	*status.TypedSpec() = network.AddressStatusSpec{
		Address:   own,
		Local:     own.Addr(),
		Broadcast: addrOf(address.Broadcast),
		LinkIndex: uint32(address.LinkIndex),
		LinkName:  link,
		Family:    familyOf(own.Addr()),
		Scope:     nethelpers.Scope(address.Scope),
		Flags:     nethelpers.AddressFlags(address.Flags),
	}

	return status
}

func routeStatus(route netlink.Route, link string) *network.RouteStatus {
	spec := network.RouteStatusSpec{
		Family:       nethelpers.Family(route.Family),
		Destination:  destinationOf(route.Dst),
		Source:       addrOf(route.Src),
		Gateway:      addrOf(route.Gw),
		OutLinkIndex: uint32(route.LinkIndex),
		OutLinkName:  link,
		Table:        nethelpers.RoutingTable(route.Table),
		Priority:     uint32(route.Priority),
		Scope:        nethelpers.Scope(route.Scope),
		Type:         nethelpers.RouteType(route.Type),
		Flags:        nethelpers.RouteFlags(route.Flags),
		Protocol:     nethelpers.RouteProtocol(route.Protocol),
		MTU:          uint32(route.MTU),
	}

	id := network.RouteID(spec.Table, spec.Family, spec.Destination, spec.Gateway, spec.Priority, spec.OutLinkName)
	status := network.NewRouteStatus(network.NamespaceName, id)
	*status.TypedSpec() = spec

	return status
}

func ruleStatus(rule netlink.Rule) *network.RoutingRuleStatus {
	spec := network.RoutingRuleStatusSpec{
		Family:   nethelpers.Family(rule.Family),
		Src:      destinationOf(rule.Src),
		Dst:      destinationOf(rule.Dst),
		Table:    nethelpers.RoutingTable(rule.Table),
		Priority: uint32(max(0, rule.Priority)),
		Action:   nethelpers.RoutingRuleAction(rule.Type),
		IIFName:  rule.IifName,
		OIFName:  rule.OifName,
		FwMark:   rule.Mark,
	}

	// netlink tells no action, but a rule with a table is one that looks into it.
	if spec.Action == nethelpers.RoutingRuleActionUnspec && rule.Table > 0 {
		spec.Action = nethelpers.RoutingRuleActionUnicast
	}

	if rule.Mask != nil {
		spec.FwMask = *rule.Mask
	}

	status := network.NewRoutingRuleStatus(network.NamespaceName, network.RoutingRuleID(spec.Family, spec.Priority))
	*status.TypedSpec() = spec

	return status
}

// destinationOf is the zero prefix where a route is for everything, as Talos writes it.
func destinationOf(network *net.IPNet) netip.Prefix {
	if network == nil {
		return netip.Prefix{}
	}

	prefix := prefixOf(network)
	if prefix.Bits() == 0 {
		return netip.Prefix{}
	}

	return prefix
}

func prefixOf(network *net.IPNet) netip.Prefix {
	bits, _ := network.Mask.Size()

	return netip.PrefixFrom(addrOf(network.IP), bits)
}

// addrOf is the zero address for none.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)

	return addr.Unmap()
}

func familyOf(addr netip.Addr) nethelpers.Family {
	if addr.Is4() {
		return nethelpers.FamilyInet4
	}

	return nethelpers.FamilyInet6
}
