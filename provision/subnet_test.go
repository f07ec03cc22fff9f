package provision

import (
	"errors"
	"net/netip"
	"testing"
)

func TestChooseSubnet(t *testing.T) {
	for name, test := range map[string]struct {
		taken []string
		want  string
	}{
		"starts where Talos does":             {nil, "10.5.0.0/24"},
		"takes the next one":                  {[]string{"10.5.0.0/24"}, "10.6.0.0/24"},
		"goes around a small part":            {[]string{"10.5.0.128/25", "10.6.0.4/32"}, "10.7.0.0/24"},
		"goes around a big network":           {[]string{"10.0.0.0/12"}, "10.16.0.0/24"},
		"leaves room for Services":            {[]string{"10.0.0.0/10", "10.64.0.0/11"}, "10.112.0.0/24"},
		"does not mind other private ones":    {[]string{"172.17.0.0/16", "192.168.0.0/16"}, "10.5.0.0/24"},
		"leaves 10.0.0.0/8 where that's full": {[]string{"10.0.0.0/8", "172.16.0.0/12"}, "192.168.5.0/24"},
	} {
		t.Run(name, func(t *testing.T) {
			var taken []netip.Prefix
			for _, text := range test.taken {
				taken = append(taken, netip.MustParsePrefix(text))
			}
			got, err := ChooseSubnet(taken)
			if err != nil || got.String() != test.want {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestChooseSubnetSaysThatAllAreTaken(t *testing.T) {
	_, err := ChooseSubnet([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")})
	if !errors.Is(err, ErrSubnetTaken) || len(Hints(err)) != 1 {
		t.Errorf("got %v with hints %q", err, Hints(err))
	}
}
