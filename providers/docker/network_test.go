package docker

import (
	"net/netip"
	"testing"
)

func TestABridgeWithoutAListedNetworkIsBeingMade(t *testing.T) {
	subnet := netip.MustParsePrefix("10.5.0.0/24")
	bridge := subnetUse{subnet: subnet, making: true}
	for name, test := range map[string]struct {
		uses []subnetUse
		want bool
	}{
		"nothing":            {nil, false},
		"a network":          {[]subnetUse{{subnet: subnet, network: "dev"}}, false},
		"its bridge":         {[]subnetUse{{subnet: subnet, network: "dev"}, bridge}, false},
		"a bridge only":      {[]subnetUse{bridge}, true},
		"a stranger's":       {[]subnetUse{{subnet: subnet}}, false},
		"another's network":  {[]subnetUse{{subnet: netip.MustParsePrefix("10.6.0.0/24"), network: "b"}, bridge}, true},
		"a bridge and route": {[]subnetUse{bridge, bridge, {subnet: subnet, network: "dev"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := anyMaking(test.uses); got != test.want {
				t.Errorf("being made: %t", got)
			}
		})
	}
}

func TestTheEnginesBridgesAreKnownByName(t *testing.T) {
	for link, want := range map[string]bool{"br-0123456789ab": true, "br-lan": false, "docker0": false, "br-0123456789xy": false} {
		if got := isBridge(link); got != want {
			t.Errorf("%s: %t", link, got)
		}
	}
}
