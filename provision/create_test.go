package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
)

const image = "bronze.local/node:v0.1.0"

// world is an engine, a state directory and client contexts: what outlives a process.
type world struct {
	engine   *providertest.Memory
	store    *provision.Store
	contexts *providertest.Contexts
	events   []provision.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{engine: providertest.NewMemory(image), contexts: &providertest.Contexts{}}
	w.store = openStore(t)
	return w
}

func openStore(t *testing.T) *provision.Store {
	t.Helper()
	store, err := provision.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// reconciler is a new process.
func (w *world) reconciler() *provision.Reconciler {
	return &provision.Reconciler{
		Provider:  w.engine,
		Store:     w.store,
		Configs:   providertest.Configs{},
		Connector: providertest.APIs{Engine: w.engine},
		Contexts:  w.contexts,
		Progress:  func(event provision.Event) { w.events = append(w.events, event) },
	}
}

func request() provision.Request {
	r := provision.DefaultRequest()
	r.Name, r.Image, r.KubernetesVersion = "dev", image, "v1.37.2"
	return r
}

// whole fails the test unless the cluster is there, complete, and reachable.
func (w *world) whole(t *testing.T) {
	t.Helper()
	summary, err := w.reconciler().Show(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if summary.Status != provision.StatusRunning || !summary.Stored || !summary.KubernetesAPI.IsValid() {
		t.Errorf("the cluster is %s, stored %v, API at %s", summary.Status, summary.Stored, summary.KubernetesAPI)
	}
	if len(summary.Observed.Machines) != 2 || len(summary.Observed.Volumes) != 12 || len(summary.Observed.Networks) != 1 {
		t.Errorf("observed %+v", summary.Observed)
	}
	if !w.contexts.Has("dev") {
		t.Error("it has no client context")
	}
}

// nothing fails the test if anything of the cluster is left.
func (w *world) nothing(t *testing.T) {
	t.Helper()
	observed, err := w.engine.Observe(t.Context(), "")
	if err != nil || !observed.Empty() {
		t.Errorf("left in the engine: %+v, %v", observed, err)
	}
	if w.store.Has("dev") || w.contexts.Has("dev") {
		t.Errorf("left: state %v, contexts %v", w.store.Has("dev"), w.contexts.Has("dev"))
	}
}

func TestCreateMakesAClusterAndDestroyLeavesNothing(t *testing.T) {
	w := newWorld(t)
	result, err := w.reconciler().Create(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	if result.Access.MachineAPI == result.Access.KubernetesAPI || !result.Access.MachineAPI.IsValid() {
		t.Errorf("the APIs are at %s and %s", result.Access.MachineAPI, result.Access.KubernetesAPI)
	}
	if _, err := w.reconciler().Destroy(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	w.nothing(t)
}

func TestCreateReportsEveryStepAndPhase(t *testing.T) {
	w := newWorld(t)
	result, err := w.reconciler().Create(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	for _, event := range w.events {
		switch event.Kind {
		case provision.EventStarted:
			open[event.Step] = true
		case provision.EventDone:
			if !open[event.Step] {
				t.Errorf("%q is done and never started", event.Step)
			}
			delete(open, event.Step)
		case provision.EventFailed:
			t.Errorf("%q failed: %s", event.Step, event.Why)
		}
	}
	if len(open) > 0 {
		t.Errorf("never done: %v", open)
	}
	var phases []provision.Phase
	for _, timing := range result.Timings {
		phases = append(phases, timing.Phase)
	}
	want := []provision.Phase{
		provision.PhasePrepare, provision.PhaseNetwork, provision.PhaseNodes, provision.PhaseBootstrap,
		provision.PhaseEtcd, provision.PhaseAPI, provision.PhaseReady, provision.PhaseCoreDNS, provision.PhaseContexts,
	}
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
}

func TestCreateOfACompleteClusterDoesNothing(t *testing.T) {
	w := newWorld(t)
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	effects := w.engine.Effects()
	result, err := w.reconciler().Create(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Steps) > 0 || w.engine.Effects() != effects {
		t.Errorf("steps %v and %d effects", result.Steps, w.engine.Effects()-effects)
	}
}

func TestCreateMakesAnewANodeThatHasStopped(t *testing.T) {
	w := newWorld(t)
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	w.engine.Stop("dev-worker-1")
	result, err := w.reconciler().Create(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	want := []provision.Step{{Action: provision.CreateNode, Target: "dev-worker-1"}}
	if diff := cmp.Diff(want, result.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	w.whole(t)
}

// TestACreateThatDiesAnywhere kills the process that creates after every one of its effects on the engine, and then has
// another finish or destroy.
func TestACreateThatDiesAnywhere(t *testing.T) {
	synctest.Test(t, createsThatDie)
}

func createsThatDie(t *testing.T) {
	for effects := 0; ; effects++ {
		finish, destroy := newWorld(t), newWorld(t)
		died := false
		for _, w := range []*world{finish, destroy} {
			w.engine.CrashAfter(effects)
			_, err := w.reconciler().Create(t.Context(), request())
			died = err != nil
			w.engine.Revive()
		}
		before, err := finish.store.Load("dev")
		if err != nil && !errors.Is(err, provision.ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := finish.reconciler().Create(t.Context(), request()); err != nil {
			t.Fatalf("died after %d effects, create again: %v", effects, err)
		}
		finish.whole(t)
		if after, err := finish.store.Load("dev"); err != nil || (before.Secrets != nil && string(before.Secrets) != string(after.Secrets)) {
			t.Errorf("died after %d effects: the second create has other secrets", effects)
		}
		_, err = destroy.reconciler().Destroy(t.Context(), "dev")
		if err != nil && !errors.Is(err, provision.ErrNotFound) {
			t.Fatalf("died after %d effects, destroy: %v", effects, err)
		}
		destroy.nothing(t)
		if !died {
			break
		}
	}
}

func TestTwoClustersGetTwoSubnets(t *testing.T) {
	w := newWorld(t)
	created(t, w)
	other := request()
	other.Name = "other"
	result, err := w.reconciler().Create(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Access.Cluster.Network.Subnet.String(); got != "10.6.0.0/24" {
		t.Errorf("the second subnet is %s", got)
	}
}

func TestACreateThatDiedBeforeItsNetworkKeepsItsSubnet(t *testing.T) {
	w := newWorld(t)
	created(t, w)
	other := request()
	other.Name = "other"
	if _, err := w.reconciler().Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []string{"dev", "other"} {
		observed, err := w.engine.Observe(t.Context(), cluster)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.engine.Remove(t.Context(), observed); err != nil {
			t.Fatal(err)
		}
	}
	// All that the second had is the record, and the first one's subnet, which it had not chosen, is free now.
	result, err := w.reconciler().Create(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Access.Cluster.Network.Subnet.String(); got != "10.6.0.0/24" {
		t.Errorf("the subnet was 10.6.0.0/24 and is %s", got)
	}
}

func TestOfTwoCreatesOneWins(t *testing.T) {
	w := newWorld(t)
	outcomes := make(chan error, 2)
	for range 2 {
		r := w.reconciler()
		r.Progress = nil
		go func() {
			_, err := r.Create(t.Context(), request())
			outcomes <- err
		}()
	}
	for range 2 {
		// The second may also come when the first is done, and then finds the cluster there.
		var held *provision.HeldError
		if err := <-outcomes; err != nil && !errors.As(err, &held) {
			t.Errorf("error = %v", err)
		}
	}
	w.whole(t)
}

func TestCreateStopsWhenItIsInterruptedAndGoesOnLater(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := w.reconciler()
	interrupted.Progress = func(event provision.Event) {
		if event.Phase == provision.PhaseNodes && event.Kind == provision.EventStarted {
			cancel()
		}
	}
	if _, err := interrupted.Create(ctx, request()); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	created(t, w)
	w.whole(t)
}

func TestCreateEndsWhenANodeDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dying := w.reconciler()
		dying.Connector = neverReady{APIs: providertest.APIs{Engine: w.engine}, kill: func() { w.engine.Stop("dev-worker-1") }}
		_, err := dying.Create(t.Context(), request())
		if err == nil || !strings.Contains(err.Error(), "does not run any more; it said last:\ndev-worker-1: terminated") {
			t.Errorf("error = %v", err)
		}
	})
}

// neverReady is a cluster in which a node dies while its readiness is asked for.
type neverReady struct {
	providertest.APIs
	kill func()
}

func (n neverReady) Kubernetes(access provision.Access) (provision.Kubernetes, error) {
	kubernetes, err := n.APIs.Kubernetes(access)
	return dyingNode{Kubernetes: kubernetes, kill: n.kill}, err
}

type dyingNode struct {
	provision.Kubernetes
	kill func()
}

func (d dyingNode) NodesReady(context.Context, []string) (string, error) {
	d.kill()
	return "a node is not Ready", nil
}

func TestCreateThatLosesPatienceTellsWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		impatient := w.reconciler()
		impatient.Patience = 100 * time.Millisecond
		impatient.Connector = neverReady{APIs: providertest.APIs{Engine: w.engine}, kill: func() {}}
		_, err := impatient.Create(t.Context(), request())
		if err == nil || !strings.Contains(err.Error(), "waiting for all nodes to be Ready (a node is not Ready): no more patience after 100ms") {
			t.Errorf("error = %v", err)
		}
	})
}
