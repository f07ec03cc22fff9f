package netstate

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attempts bounds how often a table is read again that changed while it was read.
const attempts = 5

// Network is the kernel's tables at one moment.
type Network struct {
	Links     []netlink.Link
	Addresses []netlink.Addr
	Routes    []netlink.Route
	Rules     []netlink.Rule
}

// Read asks the kernel for all tables of the caller's network namespace.
func Read() (Network, error) {
	links, linksErr := again(netlink.LinkList)
	addresses, addressesErr := again(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	routes, routesErr := again(func() ([]netlink.Route, error) {
		// Without a filter it is the main table only.
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	rules, rulesErr := again(func() ([]netlink.Rule, error) { return netlink.RuleList(netlink.FAMILY_ALL) })

	if err := errors.Join(linksErr, addressesErr, routesErr, rulesErr); err != nil {
		return Network{}, fmt.Errorf("cannot read the node's network: %w", err)
	}

	return Network{Links: links, Addresses: addresses, Routes: routes, Rules: rules}, nil
}

// again reads a table, and once more when it changed meanwhile. One that never rests is taken as it is, since its change
// makes for another look anyway.
func again[T any](list func() ([]T, error)) ([]T, error) {
	var (
		found []T
		err   error
	)

	for range attempts {
		if found, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return found, err
		}
	}

	return found, nil
}
