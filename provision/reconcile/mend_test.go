package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// brutality is what is done to a cluster, and what a Mend is to make of it.
type brutality struct {
	name    string
	size    [2]int
	lose    []string
	volumes bool
	missing reconcile.Missing
	want    [2]int
}

func brutalities() []brutality {
	const worker, first, second = "dev-worker-1", "dev-controlplane-1", "dev-controlplane-2"
	return []brutality{
		{"a worker is forgotten", [2]int{1, 2}, []string{worker}, false, reconcile.ForgetMissing, [2]int{1, 1}},
		{"a worker is replaced", [2]int{1, 2}, []string{worker}, true, reconcile.ReplaceMissing, [2]int{1, 2}},
		{"a worker comes back", [2]int{1, 2}, []string{worker}, false, reconcile.ResurrectMissing, [2]int{1, 2}},
		{"all workers are replaced", [2]int{1, 2}, []string{worker, "dev-worker-2"}, true, reconcile.ReplaceMissing, [2]int{1, 2}},
		{"the founder is forgotten", [2]int{3, 1}, []string{first}, true, reconcile.ForgetMissing, [2]int{2, 1}},
		{"a control plane is replaced", [2]int{3, 1}, []string{second}, true, reconcile.ReplaceMissing, [2]int{3, 1}},
		{"a control plane comes back", [2]int{3, 1}, []string{second}, false, reconcile.ResurrectMissing, [2]int{3, 1}},
		{"two of three control planes come back", [2]int{3, 1}, []string{first, second}, false, reconcile.ResurrectMissing, [2]int{3, 1}},
		{"the only control plane comes back", [2]int{1, 1}, []string{first}, false, reconcile.ResurrectMissing, [2]int{1, 1}},
		{"two of five control planes are replaced", [2]int{5, 0}, []string{first, second}, true, reconcile.ReplaceMissing, [2]int{5, 0}},
		{"a control plane and a worker are replaced", [2]int{3, 1}, []string{first, worker}, true, reconcile.ReplaceMissing, [2]int{3, 1}},
		{"the balancer and a worker are lost", [2]int{1, 2}, []string{"dev-loadbalancer", worker}, true, reconcile.ForgetMissing, [2]int{1, 1}},
	}
}

func (b brutality) happen(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, b.size[0], b.size[1])
	for _, name := range b.lose {
		w.engine.Vanish(name, b.volumes)
	}
	return w
}

func TestMendBringsAllSourcesToOneTruth(t *testing.T) {
	for _, b := range brutalities() {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := b.happen(t)
				outcome, err := w.mend(t.Context(), b.missing)
				if err != nil {
					t.Fatalf("%v\n%s", err, steps(outcome))
				}
				if err := w.whole(t, b.want[0], b.want[1]); err != nil {
					t.Errorf("%v\n%s", err, steps(outcome))
				}
				effects := w.engine.Effects()
				if outcome, err := w.mend(t.Context(), b.missing); err != nil || steps(outcome) != "" || w.engine.Effects() != effects {
					t.Errorf("a further one does %s, %v", steps(outcome), err)
				}
			})
		})
	}
}

// TestAMendThatDiesAnywhere kills the process after every one of its effects, and has another do what is left.
func TestAMendThatDiesAnywhere(t *testing.T) {
	for _, b := range brutalities() {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for effects := 0; ; effects++ {
					w := b.happen(t)
					w.engine.CrashAfter(effects)
					_, err := w.mend(t.Context(), b.missing)
					w.engine.Revive()
					if err == nil {
						break
					}
					outcome, err := w.mend(t.Context(), b.missing)
					if err != nil {
						t.Fatalf("after %d effects: %v\n%s", effects, err, steps(outcome))
					}
					if err := w.whole(t, b.want[0], b.want[1]); err != nil {
						t.Errorf("after %d effects: %v\n%s", effects, err, steps(outcome))
					}
				}
			})
		})
	}
}

func TestMendLeavesAloneWhatIsNotProvenGone(t *testing.T) {
	for name, happen := range map[string]func(*testing.T, *world){
		"paused":  func(t *testing.T, w *world) { w.turn(t, "dev-controlplane-1", provision.MachinePaused) },
		"stopped": func(_ *testing.T, w *world) { w.engine.Stop("dev-worker-1") },
		"renamed": func(_ *testing.T, w *world) { w.engine.Rename("dev-worker-1", "mine") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, 1)
				happen(t, w)
				effects := w.engine.Effects()
				outcome, err := w.mend(t.Context(), reconcile.ReplaceMissing)
				if err != nil || steps(outcome) != "" || w.engine.Effects() != effects {
					t.Errorf("did %q, %v", steps(outcome), err)
				}
				if len(outcome.Plans[0].Notes) == 0 {
					t.Error("and said nothing")
				}
			})
		})
	}
}

func (w *world) turn(t *testing.T, name string, to provision.MachineState) {
	t.Helper()
	observed, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range observed.Machines {
		if machine.Name == name {
			if err := w.engine.Turn(t.Context(), machine, to); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMendRefusesWithoutQuorumAndOffersWhatHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 1)
		w.engine.Vanish("dev-controlplane-1", false)
		w.engine.Vanish("dev-controlplane-2", false)
		effects := w.engine.Effects()
		outcome, err := w.mend(t.Context(), reconcile.ReplaceMissing)
		if !errors.Is(err, reconcile.ErrRefused) || w.engine.Effects() != effects {
			t.Fatalf("did %q, %v", steps(outcome), err)
		}
		plan := outcome.Plans[len(outcome.Plans)-1]
		if len(plan.Refusals) != 2 || !strings.Contains(plan.Refusals[0].Offer, "bronze cluster reconcile dev --missing resurrect") {
			t.Errorf("refusals %+v", plan.Refusals)
		}
	})
}

func TestASilentEngineChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		w.engine.Vanish("dev-worker-1", true)
		before := w.record(t)
		w.engine.Silence(true)
		outcome, err := w.mend(t.Context(), reconcile.ReplaceMissing)
		if !errors.Is(err, reconcile.ErrRefused) || steps(outcome) != "" {
			t.Errorf("did %q, %v", steps(outcome), err)
		}
		if after := w.record(t); len(after.Cluster.Nodes) != len(before.Cluster.Nodes) {
			t.Errorf("desired are %v", after.Cluster.Nodes)
		}
	})
}

func TestMendWaitsForTheSecondSighting(t *testing.T) {
	for _, test := range []struct {
		name  string
		mend  func(*world)
		acted bool
	}{
		{"it is missing still", func(*world) {}, true},
		{"it is back", func(w *world) {
			record, err := w.store.Load("dev")
			if err != nil {
				panic(err)
			}
			node := record.Cluster.Nodes[1]
			if err := w.engine.CreateNode(t.Context(), record.Cluster, node, record.Configs[node.Name]); err != nil {
				panic(err)
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, 2)
				w.engine.Vanish("dev-worker-1", false)
				effects, began := w.engine.Effects(), time.Now()
				policy := reconcile.Policy{Missing: reconcile.ForgetMissing, Interval: reconcile.DefaultInterval}
				ended := make(chan error, 1)
				go func() {
					_, err := w.runner().Mend(t.Context(), "dev", policy, nil)
					ended <- err
				}()
				<-time.After(reconcile.DefaultInterval - time.Second)
				if w.engine.Effects() != effects {
					t.Error("something was done before the second sighting")
				}
				// Others may work on the cluster while it waits.
				if err := w.store.Held("dev", func() error { test.mend(w); return nil }); err != nil {
					t.Error(err)
				}
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if acted := len(w.record(t).Cluster.Nodes) == 2; acted != test.acted {
					t.Errorf("after %s: acted %t, want %t", time.Since(began), acted, test.acted)
				}
			})
		})
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		w.engine.Vanish("dev-worker-1", true)
		effects := w.engine.Effects()
		outcome, err := w.runner().Mend(t.Context(), "dev", reconcile.Policy{Missing: reconcile.ReplaceMissing, DryRun: true}, nil)
		if err != nil || steps(outcome) == "" {
			t.Errorf("plans %q, %v", steps(outcome), err)
		}
		if w.engine.Effects() != effects || len(w.record(t).Cluster.Nodes) != 3 {
			t.Error("something was done")
		}
	})
}
