package discovery

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

// maxServers is how many servers a node talks to. Clusters have few control planes; etcd's own advice ends at seven.
const maxServers = 16

// forgetAfter is how long the address of a control plane that is gone is kept. Trying it costs next to nothing, and a
// cluster of which all was off for long must find itself.
const forgetAfter = 24 * time.Hour

// controlPlane is the address of one, as STATE remembers it.
type controlPlane struct {
	Address netip.Addr `json:"address"`
	// Lost is when it was last known to be one; zero as long as it is.
	Lost time.Time `json:"lost,omitzero"`
}

// servers are those to talk to. The cluster's endpoint may be a balancer in front of all control planes, by which nodes
// that know nobody all meet at the same one, and so learn of the others.
func servers(set settings, known []controlPlane, port int) []server {
	if !set.service {
		return nil
	}

	all := []server{{address: set.own}}
	if set.extra.address != "" {
		all = append(all, set.extra)
	}

	for _, c := range known {
		next := server{address: net.JoinHostPort(c.Address.String(), strconv.Itoa(port))}
		if !slices.Contains(all, next) && len(all) < maxServers {
			all = append(all, next)
		}
	}

	return all
}

// controlPlanes are the addresses of those that are known to be there: the first of each, which is its main one.
func controlPlanes(self cluster.AffiliateSpec, others []affiliate) []netip.Addr {
	var addresses []netip.Addr

	add := func(spec cluster.AffiliateSpec) {
		if spec.MachineType.IsControlPlane() && len(spec.Addresses) > 0 {
			addresses = append(addresses, spec.Addresses[0])
		}
	}

	add(self)

	for _, other := range others {
		add(other.AffiliateSpec)
	}

	return addresses
}

// remember brings the list up to date: those that are there come first, then those that are gone, the last gone first.
func remember(before []controlPlane, present []netip.Addr, now time.Time) []controlPlane {
	var next, lost []controlPlane

	for _, address := range present {
		if !slices.ContainsFunc(next, func(c controlPlane) bool { return c.Address == address }) {
			next = append(next, controlPlane{Address: address})
		}
	}

	for _, c := range before {
		if slices.Contains(present, c.Address) {
			continue
		}

		if c.Lost.IsZero() {
			c.Lost = now
		}

		if now.Sub(c.Lost) < forgetAfter {
			lost = append(lost, c)
		}
	}

	slices.SortStableFunc(lost, func(a, b controlPlane) int { return b.Lost.Compare(a.Lost) })
	next = append(next, lost...)

	return next[:min(len(next), maxServers)]
}
