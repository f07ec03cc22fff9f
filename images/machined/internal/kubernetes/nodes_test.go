package kubernetes

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestPodNetworkFollowsTheNodesAddress(t *testing.T) {
	for _, tc := range []struct {
		name, network, ip string
		taken             map[string]string
		want              string
	}{
		{"by the last octet", "10.244.0.0/16", "10.5.0.2", nil, "10.244.2.0/24"},
		{"the same again for the same node", "10.244.0.0/16", "10.5.0.2", map[string]string{"10.244.2.0/24": "node"}, "10.244.2.0/24"},
		{"the next where another has it", "10.244.0.0/16", "10.5.0.2", map[string]string{"10.244.2.0/24": "other"}, "10.244.3.0/24"},
		{"from the start after the end", "10.244.0.0/16", "10.5.0.255", map[string]string{"10.244.255.0/24": "other"}, "10.244.0.0/24"},
		{"in a smaller network", "10.244.8.0/22", "10.5.0.6", nil, "10.244.10.0/24"},
		{"of a network that is not masked", "10.244.7.7/16", "10.5.0.2", nil, "10.244.2.0/24"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nodes := Nodes{PodCIDR: netip.MustParsePrefix(tc.network), taken: map[netip.Prefix]string{}}
			for network, owner := range tc.taken {
				nodes.taken[netip.MustParsePrefix(network)] = owner
			}

			got, err := nodes.choose("node", netip.MustParseAddr(tc.ip))
			if err != nil || got.String() != tc.want {
				t.Errorf("choose = %s, %v, want %s", got, err, tc.want)
			}
		})
	}
}

func TestFullPodNetworkIsAnError(t *testing.T) {
	nodes := Nodes{PodCIDR: netip.MustParsePrefix("10.244.0.0/22"), taken: map[netip.Prefix]string{}}

	for i := range 4 {
		name := fmt.Sprintf("node-%d", i)

		chosen, err := nodes.choose(name, netip.MustParseAddr("10.5.0.2"))
		if err != nil {
			t.Fatal(err)
		}

		if _, again := nodes.taken[chosen]; again {
			t.Fatalf("%s given twice", chosen)
		}

		nodes.taken[chosen] = name
	}

	if got, err := nodes.choose("fifth", netip.MustParseAddr("10.5.0.2")); err == nil {
		t.Errorf("the fifth of four: %s", got)
	}
}

func TestPodNetworkOfANodeWithoutAddressIsAnError(t *testing.T) {
	nodes := Nodes{PodCIDR: netip.MustParsePrefix("10.244.0.0/16")}

	if got, err := nodes.choose("node", netip.Addr{}); err == nil {
		t.Errorf("choose = %s", got)
	}
}
