package provision_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

// grown is a cluster of two control planes and one worker, as few as show every order.
func grown(t *testing.T, w *world) {
	t.Helper()
	r := request()
	r.ControlPlanes, r.AllowEven = 2, true
	if _, err := w.reconciler().Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func stepsOf(result provision.Result) []string {
	var steps []string
	for _, step := range result.Steps {
		text := step.String()
		for _, i := range step.After {
			text += " after " + result.Steps[i].Target
		}
		steps = append(steps, text)
	}
	return steps
}

func TestMachinesTurnInOrder(t *testing.T) {
	w := newWorld(t)
	grown(t, w)
	before, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	const cp1, cp2, worker, lb = "dev-controlplane-1", "dev-controlplane-2", "dev-worker-1", "dev-loadbalancer"
	for _, test := range []struct {
		name  string
		turn  func(r *provision.Reconciler) (provision.Result, error)
		steps []string
		want  provision.Status
	}{
		{"pause", func(r *provision.Reconciler) (provision.Result, error) { return r.Pause(t.Context(), "dev") }, []string{
			"pause " + worker, "pause " + cp1 + " after " + worker, "pause " + cp2 + " after " + worker,
			"pause " + lb + " after " + cp1 + " after " + cp2,
		}, provision.StatusPaused},
		{"resume", func(r *provision.Reconciler) (provision.Result, error) { return r.Resume(t.Context(), "dev") }, []string{
			"resume " + lb, "resume " + cp1, "resume " + cp2, "resume " + worker + " after " + lb + " after " + cp1 + " after " + cp2,
		}, provision.StatusRunning},
		{"stop", func(r *provision.Reconciler) (provision.Result, error) { return r.Stop(t.Context(), "dev") }, []string{
			"stop " + worker, "stop " + cp1 + " after " + worker, "stop " + cp2 + " after " + worker,
			"stop " + lb + " after " + cp1 + " after " + cp2,
		}, provision.StatusStopped},
		{"stop again", func(r *provision.Reconciler) (provision.Result, error) { return r.Stop(t.Context(), "dev") },
			nil, provision.StatusStopped},
		{"start", func(r *provision.Reconciler) (provision.Result, error) { return r.Start(t.Context(), "dev") }, []string{
			"start " + lb, "start " + cp1, "start " + cp2, "start " + worker + " after " + lb + " after " + cp1 + " after " + cp2,
		}, provision.StatusRunning},
		{"start again", func(r *provision.Reconciler) (provision.Result, error) { return r.Start(t.Context(), "dev") },
			nil, provision.StatusRunning},
	} {
		t.Run(test.name, func(t *testing.T) {
			result, err := test.turn(w.reconciler())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.steps, stepsOf(result)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			summary, err := w.reconciler().Show(t.Context(), "dev")
			if err != nil || summary.Status != test.want {
				t.Errorf("the cluster is %s, %v, want %s", summary.Status, err, test.want)
			}
		})
	}
	after, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Balancers[0].Ports, after.Balancers[0].Ports, cmp.Comparer(func(a, b provision.Port) bool { return a == b })); diff != "" {
		t.Errorf("the ports changed (-before +after):\n%s", diff)
	}
}

func TestStartWaitsForHealthAndResumeDoes(t *testing.T) {
	w := newWorld(t)
	created(t, w)
	for name, turn := range map[string]func(r *provision.Reconciler) (provision.Result, error){
		"start":  func(r *provision.Reconciler) (provision.Result, error) { return r.Start(t.Context(), "dev") },
		"resume": func(r *provision.Reconciler) (provision.Result, error) { return r.Resume(t.Context(), "dev") },
	} {
		t.Run(name, func(t *testing.T) {
			w.events = nil
			if _, err := turn(w.reconciler()); err != nil {
				t.Fatal(err)
			}
			for _, step := range []string{"all kubelets to be healthy", "etcd to be healthy", "all nodes to be Ready"} {
				if !slices.ContainsFunc(w.events, func(e provision.Event) bool { return e.Step == step && e.Kind == provision.EventDone }) {
					t.Errorf("it did not wait for %s", step)
				}
			}
		})
	}
}

func TestTurningRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(t *testing.T, w *world)
		turn    func(r *provision.Reconciler, t *testing.T) (provision.Result, error)
		want    error
	}{
		"to stop a cluster that is not there": {func(*testing.T, *world) {},
			func(r *provision.Reconciler, t *testing.T) (provision.Result, error) {
				return r.Stop(t.Context(), "dev")
			}, provision.ErrNotFound},
		"to pause a cluster that is stopped": {halted,
			func(r *provision.Reconciler, t *testing.T) (provision.Result, error) {
				return r.Pause(t.Context(), "dev")
			}, provision.ErrNotRunning},
		"to resume a cluster that is stopped": {halted,
			func(r *provision.Reconciler, t *testing.T) (provision.Result, error) {
				return r.Resume(t.Context(), "dev")
			}, provision.ErrNotRunning},
		"to start a cluster that has lost a node": {func(t *testing.T, w *world) {
			halted(t, w)
			observed, err := w.engine.Observe(t.Context(), "dev")
			if err = errors.Join(err, w.engine.Remove(t.Context(), provision.Observed{Machines: observed.Machines[1:]})); err != nil {
				t.Fatal(err)
			}
		}, func(r *provision.Reconciler, t *testing.T) (provision.Result, error) {
			return r.Start(t.Context(), "dev")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.arrange(t, w)
			_, err := test.turn(w.reconciler(), t)
			if err == nil || (test.want != nil && !errors.Is(err, test.want)) || len(provision.Hints(err)) == 0 {
				t.Errorf("error = %v with hints %q, want %v", err, provision.Hints(err), test.want)
			}
		})
	}
}

func halted(t *testing.T, w *world) {
	t.Helper()
	created(t, w)
	if _, err := w.reconciler().Stop(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
}

func TestAClusterWhoseStateIsLostCanBeStoppedAndStarted(t *testing.T) {
	w := newWorld(t)
	created(t, w)
	w.store = openStore(t)
	if _, err := w.reconciler().Stop(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reconciler().Start(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
}

// TestAStopThatDiesAnywhereCanBeRunAgain kills the process after each of its effects.
func TestAStopThatDiesAnywhereCanBeRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for effects := range 4 {
			w := newWorld(t)
			created(t, w)
			w.engine.CrashAfter(effects)
			_, err := w.reconciler().Stop(t.Context(), "dev")
			w.engine.Revive()
			if died := effects < 3; (err != nil) != died {
				t.Errorf("after %d effects: %v", effects, err)
			}
			if _, err := w.reconciler().Stop(t.Context(), "dev"); err != nil {
				t.Fatalf("died after %d effects, stop again: %v", effects, err)
			}
			if _, err := w.reconciler().Start(t.Context(), "dev"); err != nil {
				t.Fatalf("died after %d effects, then start: %v", effects, err)
			}
			w.whole(t)
		}
	})
}
