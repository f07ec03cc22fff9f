package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// scaling is a command that changes which nodes a cluster has, and the size that it is to have then.
type scaling struct {
	name string
	size [2]int
	// before is what happens to the cluster before.
	before func(t *testing.T, w *world)
	do     func(ctx context.Context, w *world) (reconcile.Scaled, error)
	want   [2]int
}

func add(asked reconcile.Addition) func(context.Context, *world) (reconcile.Scaled, error) {
	return func(ctx context.Context, w *world) (reconcile.Scaled, error) {
		return w.runner().Add(ctx, "dev", asked, reconcile.Scaling{})
	}
}

func remove(asked reconcile.Removal) func(context.Context, *world) (reconcile.Scaled, error) {
	return func(ctx context.Context, w *world) (reconcile.Scaled, error) {
		return w.runner().Remove(ctx, "dev", asked, reconcile.Scaling{})
	}
}

func adopt(ctx context.Context, w *world) (reconcile.Scaled, error) {
	return w.runner().Adopt(ctx, "dev", reconcile.Scaling{})
}

// loseState is rm -r of the state directory.
func loseState(t *testing.T, w *world) {
	t.Helper()
	if err := w.store.Remove("dev"); err != nil {
		t.Fatal(err)
	}
}

// runByHand makes a node with the machine config of another of its role, as docker run does.
func runByHand(t *testing.T, w *world) {
	t.Helper()
	w.engine.RunByHand("dev", "mine", provision.Worker, w.record(t).Configs["dev-worker-1"])
}

func turn(name string, to provision.MachineState) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		observed, err := w.engine.Observe(t.Context(), "dev")
		if err != nil {
			t.Fatal(err)
		}
		for _, machine := range observed.Machines {
			if machine.Name != name {
				continue
			}
			if err := w.engine.Turn(t.Context(), machine, to); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func vanish(names ...string) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		for _, name := range names {
			w.engine.Vanish(name, false)
		}
	}
}

func scalings() []scaling {
	workers := reconcile.Addition{Role: provision.Worker, Count: 3}
	controlPlanes := reconcile.Addition{Role: provision.ControlPlane, Count: 2}
	named := func(names ...string) reconcile.Removal { return reconcile.Removal{Names: names} }
	forced := func(name string) reconcile.Removal { return reconcile.Removal{Names: []string{name}, Force: true} }
	return []scaling{
		{"three workers are added", [2]int{1, 1}, nil, add(workers), [2]int{1, 4}},
		{"the first workers are added", [2]int{1, 0}, nil, add(workers), [2]int{1, 3}},
		{"two control planes are added", [2]int{1, 1}, nil, add(controlPlanes), [2]int{3, 1}},
		{"workers are added where the state is lost", [2]int{1, 1}, loseState, add(workers), [2]int{1, 4}},
		{"a worker that was made by hand is adopted", [2]int{1, 1}, runByHand, adopt, [2]int{1, 2}},
		{"two workers are removed", [2]int{1, 3}, nil, remove(named("dev-worker-1", "dev-worker-3")), [2]int{1, 1}},
		{"workers are removed where the state is lost", [2]int{1, 3}, loseState, remove(named("dev-worker-2")), [2]int{1, 2}},
		{"two control planes are removed, the founder among them", [2]int{3, 1}, nil,
			remove(named("dev-controlplane-1", "dev-controlplane-2")), [2]int{1, 1}},
		{"a worker that was made by hand is removed", [2]int{1, 1}, runByHand, remove(named("mine")), [2]int{1, 1}},
		{"a stopped worker is removed", [2]int{1, 2}, turn("dev-worker-1", provision.MachineStopped), remove(named("dev-worker-1")), [2]int{1, 1}},
		{"a stopped control plane is removed", [2]int{3, 1}, turn("dev-controlplane-2", provision.MachineStopped),
			remove(named("dev-controlplane-2")), [2]int{2, 1}},
		{"a paused worker is removed by force", [2]int{1, 2}, turn("dev-worker-1", provision.MachinePaused), remove(forced("dev-worker-1")), [2]int{1, 1}},
		{"a worker that is gone is removed", [2]int{1, 2}, vanish("dev-worker-2"), remove(named("dev-worker-2")), [2]int{1, 1}},
		{"a control plane that is gone is removed", [2]int{3, 1}, vanish("dev-controlplane-1"), remove(named("dev-controlplane-1")), [2]int{2, 1}},
		{"a control plane and a worker are removed", [2]int{3, 2}, nil, remove(named("dev-worker-1", "dev-controlplane-3")), [2]int{2, 1}},
	}
}

func (s scaling) prepare(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, s.size[0], s.size[1])
	if s.before != nil {
		s.before(t, w)
	}
	return w
}

// settled tells what keeps the cluster from being as the command is to leave it.
func (s scaling) settled(t *testing.T, w *world) error {
	t.Helper()
	for _, node := range w.record(t).Cluster.Nodes {
		if node.Joining {
			return errors.New(node.Name + " joins still")
		}
	}
	return w.whole(t, s.want[0], s.want[1])
}

func TestScalingLeavesOneTruth(t *testing.T) {
	for _, s := range scalings() {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := s.prepare(t)
				done, err := s.do(t.Context(), w)
				if err != nil {
					t.Fatalf("%v\n%s", err, stepsOf(done.Plan))
				}
				if err := s.settled(t, w); err != nil {
					t.Errorf("%v\n%s", err, stepsOf(done.Plan))
				}
			})
		})
	}
}

func stepsOf(plan reconcile.Plan) string {
	return steps(reconcile.Outcome{Plans: []reconcile.Plan{plan}})
}

// TestAScalingThatDiesAnywhere kills the process after every one of its effects, and runs the same command again.
func TestAScalingThatDiesAnywhere(t *testing.T) {
	for _, s := range scalings() {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for effects := 0; ; effects++ {
					w := s.prepare(t)
					w.engine.CrashAfter(effects)
					_, err := s.do(t.Context(), w)
					w.engine.Revive()
					if err == nil {
						t.Logf("it has %d effects", effects)
						return
					}
					done, err := s.do(t.Context(), w)
					// A removal that died when all was done finds nothing any more.
					if err != nil && !strings.Contains(err.Error(), "in any source") {
						t.Fatalf("after a death after %d effects: %v\n%s", effects, err, stepsOf(done.Plan))
					}
					if err := s.settled(t, w); err != nil {
						t.Fatalf("after a death after %d effects: %v\n%s", effects, err, stepsOf(done.Plan))
					}
				}
			})
		})
	}
}

// TestReconcileEndsAScalingThatDied has reconcile clear up after a command that died: what was to be removed is gone or
// whole, and what was begun is gone.
func TestReconcileEndsAScalingThatDied(t *testing.T) {
	for _, s := range scalings() {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for effects := 0; ; effects++ {
					w := s.prepare(t)
					w.engine.CrashAfter(effects)
					_, err := s.do(t.Context(), w)
					w.engine.Revive()
					if err == nil {
						return
					}
					if outcome, err := w.mend(t.Context(), reconcile.ForgetMissing); err != nil {
						t.Fatalf("after a death after %d effects: %v\n%s", effects, err, steps(outcome))
					}
					for _, node := range w.look(t).Nodes {
						if node.State == "missing" || node.State == "ghost" {
							t.Fatalf("after a death after %d effects %s is %s: %s", effects, node.Name, node.State, node.Why)
						}
					}
				}
			})
		})
	}
}

func TestAddedNodesAreMadeAfterALivingOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 2)
		live, err := machineconfig.Patch(w.record(t).Configs["dev-worker-2"], []string{
			"machine: {sysctls: {live: \"1\"}, network: {interfaces: [{interface: eth7, addresses: [192.168.7.2/24]}]}}",
		})
		if err != nil {
			t.Fatal(err)
		}
		w.engine.Reconfigure("dev-worker-2", live)
		asked := reconcile.Addition{
			Role: provision.Worker, Count: 1, From: "dev-worker-2", Patches: []string{"machine: {sysctls: {asked: \"1\"}}"},
			Resources: provision.Resources{MemoryMiB: 1024},
		}
		if _, err := w.runner().Add(t.Context(), "dev", asked, reconcile.Scaling{}); err != nil {
			t.Fatal(err)
		}
		config := string(w.engine.Config("dev-worker-3"))
		for _, want := range []string{"live: \"1\"", "asked: \"1\"", "eth7"} {
			if !strings.Contains(config, want) {
				t.Errorf("its machine config has no %q", want)
			}
		}
		if strings.Contains(config, "192.168.7.2") {
			t.Error("it has the address of the node that it is made after")
		}
		node := w.record(t).Cluster.Nodes[3]
		if size := (provision.Resources{CPUs: provision.DefaultCPUs, MemoryMiB: 1024}); node.Name != "dev-worker-3" || node.Resources != size {
			t.Errorf("added %+v", node)
		}
	})
}

func TestScalingIsRefused(t *testing.T) {
	workers := func(count int) reconcile.Addition { return reconcile.Addition{Role: provision.Worker, Count: count} }
	for _, test := range []struct {
		name      string
		size      [2]int
		before    func(*testing.T, *world)
		do        func(context.Context, *world) (reconcile.Scaled, error)
		want      string
		wantsHint string
	}{
		{"no nodes", [2]int{1, 1}, nil, add(workers(0)), "cannot add 0 nodes", "--count"},
		{"an image that is not there", [2]int{1, 1}, nil, add(reconcile.Addition{Role: provision.Worker, Count: 1, Image: "none"}), "cannot find image none", "image build"},
		{"a source that is not there", [2]int{1, 1}, nil, add(reconcile.Addition{Role: provision.Worker, Count: 1, From: "x"}), "cannot clone \"x\"", "dev-worker-1"},
		{"a source of another role", [2]int{1, 1}, nil,
			add(reconcile.Addition{Role: provision.Worker, Count: 1, From: "dev-controlplane-1"}), "it is a controlplane", "--role controlplane"},
		{"an even number of control planes", [2]int{1, 1}, nil, add(reconcile.Addition{Role: provision.ControlPlane, Count: 1}),
			"with 2 etcd members the quorum is 2", "--allow-even"},
		{"control planes while one is gone", [2]int{3, 0}, vanish("dev-controlplane-3"),
			add(reconcile.Addition{Role: provision.ControlPlane, Count: 2}), "3 members, 2 alive", "reconcile dev"},
		{"the only control plane", [2]int{1, 1}, nil, remove(reconcile.Removal{Names: []string{"dev-controlplane-1"}}), "the only control plane", "destroy"},
		{"all control planes", [2]int{3, 0}, nil,
			remove(reconcile.Removal{Names: []string{"dev-controlplane-1", "dev-controlplane-2", "dev-controlplane-3"}}), "the only control plane", "destroy"},
		{"a living control plane while another is gone", [2]int{3, 1}, vanish("dev-controlplane-3"),
			remove(reconcile.Removal{Names: []string{"dev-controlplane-1"}}), "etcd would have no quorum: 2 members, 1 alive, 2 needed", "reconcile dev"},
		{"a paused worker", [2]int{1, 1}, turn("dev-worker-1", provision.MachinePaused), remove(reconcile.Removal{Names: []string{"dev-worker-1"}}),
			"it is paused, and not dead", "resume"},
		{"nobody", [2]int{1, 1}, nil, remove(reconcile.Removal{Names: []string{"x"}}), "cannot find x in any source", "dev-worker-1"},
		{"a cluster that is not there", [2]int{1, 1}, nil,
			func(ctx context.Context, w *world) (reconcile.Scaled, error) {
				return w.runner().Add(ctx, "other", workers(1), reconcile.Scaling{})
			}, "no such cluster", "cluster list"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, test.size[0], test.size[1])
				if test.before != nil {
					test.before(t, w)
				}
				effects := w.engine.Effects()
				_, err := test.do(t.Context(), w)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
				if hints := strings.Join(provision.Hints(err), "\n"); !strings.Contains(hints, test.wantsHint) {
					t.Errorf("hints %q, want %q", hints, test.wantsHint)
				}
				if now := w.engine.Effects(); now != effects {
					t.Errorf("it had %d effects", now-effects)
				}
			})
		})
	}
}

func TestAccessIsRecalledWhereTheStateIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		before := w.record(t)
		loseState(t, w)
		reconciler := &provision.Reconciler{
			Provider: w.engine, Store: w.store,
			Recall: func(ctx context.Context, name string) (provision.Record, error) {
				return reconcile.Recall(ctx, w.engine, name)
			},
		}
		access, err := reconciler.Access(t.Context(), "dev")
		if err != nil || string(access.Secrets) != string(before.Secrets) || !access.KubernetesAPI.IsValid() {
			t.Errorf("access to %s, %v", access.KubernetesAPI, err)
		}
	})
}
