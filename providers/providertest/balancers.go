package providertest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

// balancing skips what is for providers that balance only.
func (b bench) balancing(t *testing.T) provision.Balancing {
	t.Helper()
	balancing, ok := b.Provider.(provision.Balancing)
	if !ok {
		t.Skipf("%s makes no balancers", b.Provider.Name())
	}
	return balancing
}

// grow adds a control plane to what is desired, without making it.
func (b *bench) grow() {
	b.cluster.Nodes = append(b.cluster.Nodes, provision.Node{
		Name: provision.NodeName(b.cluster.Name, provision.ControlPlane, 2), Role: provision.ControlPlane,
		IP: b.cluster.Nodes[len(b.cluster.Nodes)-1].IP.Next(),
	})
}

func (b bench) wantBackends(t *testing.T) {
	t.Helper()
	var want []netip.Addr
	for _, node := range b.cluster.ControlPlanes() {
		want = append(want, node.IP)
	}
	if diff := cmp.Diff(want, b.Backends(t, b.cluster.Balancer.Name), addresses()); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
}

func testBackends(t *testing.T, b bench) {
	balancing := b.balancing(t)
	before := b.create(t)
	b.wantBackends(t)
	b.grow()
	if err := balancing.CreateBalancer(t.Context(), b.cluster); err != nil {
		t.Fatal(err)
	}
	b.wantBackends(t)
	if diff := cmp.Diff(idsOf(before), idsOf(b.observe(t))); diff != "" {
		t.Errorf("it is another (-before +after):\n%s", diff)
	}
}

// testLostBalancer wants the backends that are desired, not those that the lost one kept.
func testLostBalancer(t *testing.T, b bench) {
	balancing := b.balancing(t)
	observed := b.create(t)
	for name, lose := range map[string]func(t *testing.T){
		"stopped": func(*testing.T) { b.Stop(b.cluster.Balancer.Name) },
		"removed": func(t *testing.T) {
			if err := b.Provider.Remove(t.Context(), provision.Observed{Balancers: b.observe(t).Balancers}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		lose(t)
		b.grow()
		if err := balancing.CreateBalancer(t.Context(), b.cluster); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b.wantBackends(t)
	}
	after := b.observe(t)
	if len(after.Balancers) != 1 || after.Balancers[0].IP != observed.Balancers[0].IP || after.Balancers[0].State != provision.MachineRunning {
		t.Errorf("after: %+v", after.Balancers)
	}
	if len(after.Volumes) != len(observed.Volumes) {
		t.Errorf("there were %d volumes and are %d", len(observed.Volumes), len(after.Volumes))
	}
}
