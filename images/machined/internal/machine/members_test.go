package machine

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

func addressesOf(texts ...string) []netip.Addr {
	var parsed []netip.Addr
	for _, text := range texts {
		parsed = append(parsed, netip.MustParseAddr(text))
	}

	return parsed
}

func TestOtherControlPlanesAreThoseThatDiscoveryTells(t *testing.T) {
	shared := netip.MustParsePrefix("10.5.0.0/24")
	plane := func(id string, at ...string) cluster.MemberSpec {
		return cluster.MemberSpec{NodeID: id, MachineType: machinetype.TypeControlPlane, Addresses: addressesOf(at...)}
	}

	tests := []struct {
		name    string
		members []cluster.MemberSpec
		want    map[string]int
	}{
		{"nobody", nil, map[string]int{}},
		{"itself is none of them", []cluster.MemberSpec{plane("self", "10.5.0.2")}, map[string]int{}},
		{"a worker is none", []cluster.MemberSpec{{NodeID: "w", MachineType: machinetype.TypeWorker, Addresses: addressesOf("10.5.0.5")}}, map[string]int{}},
		{"one that tells no address is none", []cluster.MemberSpec{plane("a")}, map[string]int{}},
		{"the address in the shared network", []cluster.MemberSpec{plane("a", "10.244.3.1", "10.5.0.3")}, map[string]int{"10.5.0.3": 6443}},
		{"else the first", []cluster.MemberSpec{plane("a", "192.0.2.7", "10.244.3.1")}, map[string]int{"192.0.2.7": 6443}},
		{"two that claim one address", []cluster.MemberSpec{plane("a", "10.5.0.3"), plane("b", "10.5.0.3")}, map[string]int{"10.5.0.3": 6443}},
		{
			"the port that it tells",
			[]cluster.MemberSpec{{
				NodeID: "a", MachineType: machinetype.TypeControlPlane, Addresses: addressesOf("10.5.0.3"),
				ControlPlane: &cluster.ControlPlane{APIServerPort: 7443},
			}},
			map[string]int{"10.5.0.3": 7443},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := map[string]int{}
			for _, other := range otherControlPlanes(test.members, "self", shared) {
				got[other.address.String()] = other.apiPort
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
