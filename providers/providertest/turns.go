package providertest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

// testTurns takes a node and the balancer through their states, each twice, and wants them to be the same as before.
func testTurns(t *testing.T, b bench) {
	machines, ok := b.Provider.(provision.Switch)
	if !ok {
		t.Skipf("%s keeps its machines running", b.Provider.Name())
	}
	before := b.create(t)
	for _, to := range []provision.MachineState{
		provision.MachinePaused, provision.MachineRunning, provision.MachineStopped, provision.MachineRunning,
		provision.MachinePaused, provision.MachineStopped, provision.MachineRunning,
	} {
		for range 2 {
			for _, machine := range append(before.Machines[:1:1], before.Balancers...) {
				if err := machines.Turn(t.Context(), machine, to); err != nil {
					t.Fatalf("turning %s to %s: %v", machine.Name, to, err)
				}
			}
		}
		after := b.observe(t)
		for _, machine := range append(after.Machines[:1:1], after.Balancers...) {
			if machine.State != to {
				t.Fatalf("%s is %s, want %s", machine.Name, machine.State, to)
			}
		}
	}
	if diff := cmp.Diff(before, b.observe(t), addresses(), prefixes()); diff != "" {
		t.Errorf("they are not as they were (-before +after):\n%s", diff)
	}
}

// testVanishes wants the other node to keep all that it has.
func testVanishes(t *testing.T, b bench) {
	hazards, ok := b.Provider.(provision.Hazards)
	if !ok {
		t.Skipf("%s does no harm", b.Provider.Name())
	}
	before := b.create(t)
	victim, other := before.Machines[0], before.Machines[1]
	for _, test := range []struct {
		withVolumes bool
		want        []string
	}{
		{false, pathsOf(before, victim.Name)}, {true, nil}, {true, nil},
	} {
		if err := hazards.Vanish(t.Context(), victim, test.withVolumes); err != nil {
			t.Fatal(err)
		}
		after := b.observe(t)
		if len(after.Machines) != 1 || after.Machines[0].ID != other.ID {
			t.Errorf("machines: %+v", after.Machines)
		}
		if diff := cmp.Diff(test.want, pathsOf(after, victim.Name)); diff != "" {
			t.Errorf("its volumes (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(pathsOf(before, other.Name), pathsOf(after, other.Name)); diff != "" {
			t.Errorf("the other's volumes (-want +got):\n%s", diff)
		}
	}
}
