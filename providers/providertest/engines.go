package providertest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// patience is how long an engine may take to tell of a change.
const patience = 30 * time.Second

// reconciling skips what is for providers only whose clusters can be reconciled.
func (b bench) reconciling(t *testing.T) reconcile.Engine {
	t.Helper()
	engine, ok := b.Provider.(reconcile.Engine)
	if !ok {
		t.Skipf("clusters of %s cannot be reconciled", b.Provider.Name())
	}
	return engine
}

func testFinds(t *testing.T, b bench) {
	engine := b.reconciling(t)
	observed := b.create(t)
	for _, machine := range append(observed.Machines, observed.Balancers...) {
		found, there, err := engine.Machine(t.Context(), machine.ID)
		if err != nil || !there {
			t.Fatalf("Machine = %t, %v", there, err)
		}
		if diff := cmp.Diff(machine, found, addresses()); diff != "" {
			t.Errorf("it is not as it was observed (-observed +found):\n%s", diff)
		}
	}
}

// testFindsByIDAlone wants a machine to be found by its ID under any name, and another of its name not to be it.
func testFindsByIDAlone(t *testing.T, b bench) {
	engine := b.reconciling(t)
	machine := b.create(t).Machines[0]
	renamed := machine.Name + "-renamed"
	b.Rename(t, machine.Name, renamed)
	found, there, err := engine.Machine(t.Context(), machine.ID)
	if err != nil || !there || found.Name != renamed {
		t.Errorf("renamed: %q, %t, %v", found.Name, there, err)
	}
	b.Vanish(t, renamed)
	for id, why := range map[string]string{machine.ID: "removed", renamed: "a name", "0123456789ab": "none's"} {
		if _, there, err := engine.Machine(t.Context(), id); err != nil || there {
			t.Errorf("%s: found %t, %v", why, there, err)
		}
	}
	if _, there, err := engine.Machine(t.Context(), ""); err == nil || there {
		t.Errorf("no ID: found %t, %v", there, err)
	}
}

func testNamesAreNoIDs(t *testing.T, b bench) {
	engine := b.reconciling(t)
	machine := b.create(t).Machines[0]
	for _, id := range []string{machine.Name, machine.ID[:len(machine.ID)-1]} {
		if _, there, err := engine.Machine(t.Context(), id); err != nil || there {
			t.Errorf("%q: found %t, %v", id, there, err)
		}
	}
}

func testInspects(t *testing.T, b bench) {
	engine := b.reconciling(t)
	worker := &b.cluster.Nodes[1]
	worker.Ports = []provision.Port{{HostIP: netip.MustParseAddr("127.0.0.1"), Node: 80, Protocol: "tcp"}}
	worker.Mounts = []provision.Mount{
		{Type: provision.MountTmpfs, Target: "/mnt/memory"},
		{Type: provision.MountVolume, Source: b.Prefix + "-data", Target: "/mnt/volume", ReadOnly: true},
	}
	b.AddForeign(t, KindVolume, b.Prefix+"-data")
	// The volume cannot be removed while it is in use.
	defer b.wipe(t)
	for i, machine := range b.create(t).Machines {
		node, config, err := engine.Inspect(t.Context(), machine)
		if err != nil {
			t.Fatal(err)
		}
		want := b.cluster.Nodes[i]
		want.Ports = machine.Ports
		if diff := cmp.Diff(want, node, addresses()); diff != "" {
			t.Errorf("node (-made +inspected):\n%s", diff)
		}
		if string(config) != "machine: {}\n" {
			t.Errorf("machine config: %q", config)
		}
	}
}

func testInspectsNothing(t *testing.T, b bench) {
	engine := b.reconciling(t)
	machine := b.create(t).Machines[0]
	b.Vanish(t, machine.Name)
	if node, _, err := engine.Inspect(t.Context(), machine); err == nil {
		t.Errorf("a machine that is gone was made as %+v", node)
	}
}

// testWatches wants to hear of what other hands do to a cluster, while it goes on and once for a beginning.
func testWatches(t *testing.T, b bench) {
	engine := b.reconciling(t)
	machines := b.create(t).Machines
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan struct{}, 1000), make(chan error, 1)
	go func() { ended <- engine.Watch(ctx, b.cluster.Name, func() { heard <- struct{}{} }) }()
	awaitHeard(t, heard, "the beginning")
	renamed := machines[0].Name + "-renamed"
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"a machine that ends", func() { b.Stop(machines[1].Name) }},
		{"a machine with another name", func() { b.Rename(t, machines[0].Name, renamed) }},
		{"a machine that is removed", func() { b.Vanish(t, renamed) }},
		{"machines that are made", func() { b.create(t) }},
	} {
		drain(heard)
		change.do()
		awaitHeard(t, heard, change.name)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v", err)
	}
}

func awaitHeard(t *testing.T, heard <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-heard:
	case <-time.After(patience):
		t.Fatalf("nothing was heard of %s", what)
	}
}

func drain(heard <-chan struct{}) {
	for {
		select {
		case <-heard:
		default:
			return
		}
	}
}

func testWatchesItsClusterOnly(t *testing.T, b bench) {
	engine := b.reconciling(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard, ended := make(chan struct{}, 1000), make(chan error, 1)
	go func() { ended <- engine.Watch(ctx, b.Prefix+"-other", func() { heard <- struct{}{} }) }()
	awaitHeard(t, heard, "the beginning")
	b.create(t)
	cancel()
	<-ended
	if len(heard) != 0 {
		t.Errorf("%d events of another cluster were heard", len(heard))
	}
}
