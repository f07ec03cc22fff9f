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
