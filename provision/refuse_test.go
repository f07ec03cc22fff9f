package provision_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
)

func TestCreateRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(t *testing.T, w *world)
		change  func(*provision.Request)
		want    error
		says    string
	}{
		"a cluster of other workers": {created, func(r *provision.Request) { r.Workers = 2 }, provision.ErrDiffers, "dev-worker-2"},
		"a cluster of another image": {created, func(r *provision.Request) { r.Image = "x" }, provision.ErrDiffers, "image is " + image},
		"other patches": {created, func(r *provision.Request) { r.Patches = []provision.Patch{{Body: "x"}} },
			provision.ErrDiffers, "config patches"},
		"other ports": {created, func(r *provision.Request) {
			r.Ports = []provision.Port{{HostIP: netip.MustParseAddr("127.0.0.1"), Host: 80, Node: 80, Protocol: "tcp"}}
		}, provision.ErrDiffers, "ports"},
		"a cluster whose state is lost": {func(t *testing.T, w *world) {
			created(t, w)
			w.store = openStore(t)
		}, nil, provision.ErrStateLost, "dev"},
		"another's container": {func(_ *testing.T, w *world) {
			w.engine.AddForeign(providertest.KindContainer, "dev-worker-1")
		}, nil, provision.ErrClash, "dev-worker-1"},
		"another's network": {func(_ *testing.T, w *world) { w.engine.AddForeign(providertest.KindNetwork, "dev") },
			nil, provision.ErrClash, "dev"},
		"another's subnet": {func(t *testing.T, w *world) {
			other := request()
			other.Name = "other"
			if _, err := w.reconciler().Create(t.Context(), other); err != nil {
				t.Fatal(err)
			}
		}, func(r *provision.Request) { r.Subnet = netip.MustParsePrefix("10.5.0.0/16") }, provision.ErrSubnetTaken, "10.5.0.0/24"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.arrange(t, w)
			effects := w.engine.Effects()
			r := request()
			if test.change != nil {
				test.change(&r)
			}
			_, err := w.reconciler().Create(t.Context(), r)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || len(provision.Hints(err)) == 0 {
				t.Errorf("error = %v with hints %q, want %v that says %q", err, provision.Hints(err), test.want, test.says)
			}
			if made := w.engine.Effects() - effects; made != 0 {
				t.Errorf("%d effects on the engine", made)
			}
		})
	}
}

func created(t *testing.T, w *world) {
	t.Helper()
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
}
