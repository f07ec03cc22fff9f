package discovery

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}

	return all
}

func TestServersAreTheEndpointAndAllControlPlanes(t *testing.T) {
	public := server{address: "discovery.example.org:443", public: true}
	on := settings{service: true, own: "10.5.0.9:50002"}

	tests := []struct {
		name  string
		set   settings
		known []controlPlane
		want  []server
	}{
		{"none where the service is off", settings{own: "10.5.0.9:50002"}, nil, nil},
		{"the endpoint alone", on, nil, []server{{address: "10.5.0.9:50002"}}},
		{
			"an endpoint that is a control plane counts once", on,
			[]controlPlane{{Address: addrs("10.5.0.9")[0]}, {Address: addrs("10.5.0.3")[0], Lost: time.Unix(1, 0)}},
			[]server{{address: "10.5.0.9:50002"}, {address: "10.5.0.3:50002"}},
		},
		{
			"one that the machine config names", settings{service: true, own: on.own, extra: public},
			[]controlPlane{{Address: addrs("fd00::3")[0]}},
			[]server{{address: on.own}, public, {address: "[fd00::3]:50002"}},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := servers(test.set, test.known, 50002)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(server{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoMoreServersThanAClusterHas(t *testing.T) {
	var known []controlPlane
	for i := range 2 * maxServers {
		known = append(known, controlPlane{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
	}

	if got := servers(settings{service: true, own: "10.5.0.9:50002"}, known, 50002); len(got) != maxServers {
		t.Errorf("%d servers", len(got))
	}
}

func TestControlPlanesAreFoundByTheirMainAddress(t *testing.T) {
	spec := func(kind machine.Type, texts ...string) cluster.AffiliateSpec {
		return cluster.AffiliateSpec{MachineType: kind, Addresses: addrs(texts...)}
	}
	others := []affiliate{
		{AffiliateSpec: spec(machine.TypeWorker, "10.0.0.3")},
		{AffiliateSpec: spec(machine.TypeControlPlane, "10.0.0.4", "192.168.0.4")},
		{AffiliateSpec: spec(machine.TypeInit, "10.0.0.5")},
		{AffiliateSpec: spec(machine.TypeControlPlane)},
	}

	got := fmt.Sprint(controlPlanes(spec(machine.TypeControlPlane, "10.0.0.2"), others))
	if diff := cmp.Diff("[10.0.0.2 10.0.0.4 10.0.0.5]", got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestControlPlanesAreRememberedForADay(t *testing.T) {
	hours := func(n int) time.Time { return time.Unix(0, 0).Add(time.Duration(n) * time.Hour).UTC() }
	entry := func(text string, lost int) controlPlane {
		c := controlPlane{Address: netip.MustParseAddr(text)}
		if lost > 0 {
			c.Lost = hours(lost)
		}

		return c
	}

	tests := []struct {
		name    string
		before  []controlPlane
		present []netip.Addr
		now     int
		want    []controlPlane
	}{
		{"the first", nil, addrs("10.0.0.1", "10.0.0.1"), 1, []controlPlane{entry("10.0.0.1", 0)}},
		{"one goes", []controlPlane{entry("10.0.0.1", 0)}, nil, 1, []controlPlane{entry("10.0.0.1", 1)}},
		{"it stays gone since then", []controlPlane{entry("10.0.0.1", 1)}, nil, 5, []controlPlane{entry("10.0.0.1", 1)}},
		{"it comes back", []controlPlane{entry("10.0.0.1", 1)}, addrs("10.0.0.1"), 5, []controlPlane{entry("10.0.0.1", 0)}},
		{"it is forgotten", []controlPlane{entry("10.0.0.1", 1)}, addrs("10.0.0.2"), 25, []controlPlane{entry("10.0.0.2", 0)}},
		{
			"those that are there come first, then the last lost", []controlPlane{entry("10.0.0.1", 1), entry("10.0.0.2", 3)}, addrs("10.0.0.3"), 4,
			[]controlPlane{entry("10.0.0.3", 0), entry("10.0.0.2", 3), entry("10.0.0.1", 1)},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := remember(test.before, test.present, hours(test.now))
			if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheListOfControlPlanesOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "control-planes.yaml")
	now := time.Unix(1000, 0)

	if err := saveKnown(path, remember(nil, addrs("10.0.0.1", "fd00::1"), now)); err != nil {
		t.Fatal(err)
	}

	got, err := loadKnown(path, now)
	if err != nil || len(got) != 2 || got[1].Address != addrs("fd00::1")[0] || !got[1].Lost.Equal(now) {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestADamagedListIsToldAndNotUsed(t *testing.T) {
	for name, text := range map[string]string{
		"no YAML": "[", "no addresses": "- address: here\n", "too long": strings.Repeat("# \n", maxKnownBytes),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "control-planes.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}

			if got, err := loadKnown(path, time.Now()); err == nil || got != nil {
				t.Errorf("read %v, %v", got, err)
			}
		})
	}
}
