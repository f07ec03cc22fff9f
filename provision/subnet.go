package provision

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// clusterNetworks are what the machine config gives to pods and Services by default; a node inside them would be
// shadowed by kube-proxy's and the CNI's routes.
func clusterNetworks() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("10.96.0.0/12")}
}

// ChooseSubnet picks the first free /24: 10.5.0.0/24 as Talos has it, then 10.6.0.0/24 and on, then, for hosts that
// route all of 10.0.0.0/8 elsewhere, those of 172.16.0.0/12 and of 192.168.0.0/16.
func ChooseSubnet(taken []netip.Prefix) (netip.Prefix, error) {
	for _, addr := range subnetCandidates() {
		subnet := netip.PrefixFrom(addr, 24)
		if !overlapsAny(subnet, clusterNetworks()) && !overlapsAny(subnet, taken) {
			return subnet, nil
		}
	}
	err := fmt.Errorf("cannot find a free subnet: every private one that was tried is %w", ErrSubnetTaken)
	return netip.Prefix{}, WithHint(err, "name one with --subnet")
}

func subnetCandidates() []netip.Addr {
	var candidates []netip.Addr
	for second := 5; second < 255; second++ {
		candidates = append(candidates, netip.AddrFrom4([4]byte{10, byte(second), 0, 0}))
	}
	for second := 20; second < 32; second++ {
		candidates = append(candidates, netip.AddrFrom4([4]byte{172, byte(second), 0, 0}))
	}
	for third := 5; third < 255; third++ {
		candidates = append(candidates, netip.AddrFrom4([4]byte{192, 168, byte(third), 0}))
	}
	return candidates
}

func overlapsAny(subnet netip.Prefix, others []netip.Prefix) bool {
	for _, other := range others {
		if subnet.Overlaps(other) {
			return true
		}
	}
	return false
}

// checkSubnet tells whether so many nodes fit, with the gateway and the balancer, between the network's address and its
// broadcast.
func checkSubnet(subnet netip.Prefix, nodes int, taken []netip.Prefix) error {
	if !subnet.Addr().Is4() || subnet.Bits() > 30 || subnet.Bits() < 8 {
		return fault("give --subnet an IPv4 network such as 10.5.0.0/24", "cannot use subnet %s", subnet)
	}
	var errs []error
	if subnet != subnet.Masked() {
		errs = append(errs, fault(fmt.Sprintf("--subnet %s", subnet.Masked()),
			"cannot use subnet %s: it has host bits set", subnet))
	}
	if free := 1<<(32-subnet.Bits()) - 4; free < nodes {
		errs = append(errs, fault("give --subnet a shorter prefix, or ask for fewer nodes",
			"cannot fit %d nodes into subnet %s: it has room for %d", nodes, subnet, free))
	}
	if addr := subnet.Addr(); addr.IsLoopback() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
		errs = append(errs, fault("choose a private network such as 10.5.0.0/24",
			"cannot use subnet %s: its addresses are not for hosts", subnet))
	}
	if overlapsAny(subnet, clusterNetworks()) {
		errs = append(errs, fault("choose one outside 10.96.0.0/12 and 10.244.0.0/16",
			"cannot use subnet %s: pods or Services have it", subnet))
	}
	for _, other := range taken {
		if subnet.Overlaps(other) {
			errs = append(errs, WithHint(fmt.Errorf("cannot use subnet %s: %w by %s", subnet, ErrSubnetTaken, other),
				"leave --subnet out, and a free one is chosen"))
		}
	}
	return errors.Join(errs...)
}

// hostAt is the nth address of a subnet; 0 is the network's own.
func hostAt(subnet netip.Prefix, n int) netip.Addr {
	addr := subnet.Addr()
	for range n {
		addr = addr.Next()
	}
	return addr
}

// LastHost is the network's last address before its broadcast, which the balancer has: nodes count from the other end.
func (n Network) LastHost() netip.Addr {
	address := binary.BigEndian.Uint32(n.Subnet.Masked().Addr().AsSlice())
	broadcast := address | (1<<(32-n.Subnet.Bits()) - 1)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, broadcast-1)))
}

// Gateway is the network's first address, which the engine's bridge has.
func (n Network) Gateway() netip.Addr {
	return hostAt(n.Subnet, 1)
}
