package flannel

import (
	"encoding/json"
	"testing"
)

func TestCNIConfigurationFollowsTheLease(t *testing.T) {
	l, err := parseLease("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n")
	if err != nil {
		t.Fatal(err)
	}

	var list struct {
		Plugins []struct {
			Type string
			MTU  int
			IPAM struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal([]byte(cniFile(l).Content), &list); err != nil {
		t.Fatal(err)
	}

	bridge := list.Plugins[0]
	if bridge.Type != "bridge" || bridge.MTU != 1450 || bridge.IPAM.Ranges[0][0].Subnet != "10.244.3.0/24" {
		t.Errorf("bridge %+v", bridge)
	}
}

func TestHalfALeaseIsAnError(t *testing.T) {
	for _, text := range []string{"", "FLANNEL_MTU=1500\n", "FLANNEL_SUBNET=10.244.3.1/24\n", "FLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=big\n"} {
		if l, err := parseLease(text); err == nil {
			t.Errorf("parseLease(%q) = %+v", text, l)
		}
	}
}
