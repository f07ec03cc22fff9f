package provision_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/bronze-os/bronze/provision"
)

// TestCreateConvergesFromWhateverIsLeft takes away and stops parts of a cluster at random, many times over, and wants a
// create to make it whole and a further one to find nothing to do.
func TestCreateConvergesFromWhateverIsLeft(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t)
			created(t, w)
			w.breakAtRandom(t, chance)
			if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			w.whole(t)
			result, err := w.reconciler().Create(t.Context(), request())
			if err != nil || len(result.Steps) > 0 {
				t.Errorf("seed %d: a further create does %v, %v", seed, result.Steps, err)
			}
		})
	}
}

// breakAtRandom leaves at least one part, for from nothing a create begins anew.
func (w *world) breakAtRandom(t *testing.T, chance *rand.Rand) {
	t.Helper()
	observed, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	var lost provision.Observed
	gone := map[string]bool{}
	for _, machine := range observed.Machines {
		switch chance.IntN(3) {
		case 0:
			w.engine.Stop(machine.Name)
		case 1:
			gone[machine.Name] = true
			lost.Machines = append(lost.Machines, machine)
		}
	}
	for _, volume := range observed.Volumes[1:] {
		if gone[volume.Node] && chance.IntN(2) == 0 {
			lost.Volumes = append(lost.Volumes, volume)
		}
	}
	switch chance.IntN(3) {
	case 0:
		w.engine.Stop("dev-loadbalancer")
	case 1:
		lost.Balancers = observed.Balancers
	}
	if len(lost.Machines) == len(observed.Machines) && len(lost.Balancers) == 1 && chance.IntN(2) == 0 {
		lost.Networks = observed.Networks
	}
	if err := w.engine.Remove(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
}
