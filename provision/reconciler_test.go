package provision_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

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
	mu       sync.Mutex
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

func TestADestroyThatDiesAnywhereCanBeRunAgain(t *testing.T) {
	for effects := 0; ; effects++ {
		w := newWorld(t)
		if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		w.engine.CrashAfter(effects)
		_, died := w.reconciler().Destroy(t.Context(), "dev")
		w.engine.Revive()
		if died == nil {
			w.nothing(t)
			break
		}
		if _, err := w.reconciler().Destroy(t.Context(), "dev"); err != nil {
			t.Fatalf("died after %d effects, destroy again: %v", effects, err)
		}
		w.nothing(t)
	}
}

func TestDestroyWorksWithoutState(t *testing.T) {
	w := newWorld(t)
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	w.store = openStore(t)
	if _, err := w.reconciler().Destroy(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	w.nothing(t)
}

func TestDestroyWorksWithStateAlone(t *testing.T) {
	w := newWorld(t)
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	w.engine = providertest.NewMemory(image)
	if _, err := w.reconciler().Destroy(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	w.nothing(t)
}

func TestDestroyOfNothingSaysSo(t *testing.T) {
	_, err := newWorld(t).reconciler().Destroy(t.Context(), "dev")
	if !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("error = %v", err)
	}
}

func TestDestroyLeavesOtherClustersAlone(t *testing.T) {
	w := newWorld(t)
	other := request()
	other.Name = "other"
	for _, r := range []provision.Request{request(), other} {
		if _, err := w.reconciler().Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.reconciler().Destroy(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
}

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

func TestPreviewTouchesNothing(t *testing.T) {
	w := newWorld(t)
	cluster, steps, err := w.reconciler().Preview(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 4 || cluster.Name != "dev" {
		t.Errorf("cluster %q, steps %v", cluster.Name, steps)
	}
	w.nothing(t)
}

func TestListTellsOfStoredAndOfSeen(t *testing.T) {
	w := newWorld(t)
	created(t, w)
	for _, name := range []string{"absent", "lost"} {
		r := request()
		r.Name = name
		if _, err := w.reconciler().Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.store.Remove("lost"); err != nil {
		t.Fatal(err)
	}
	absent, err := w.engine.Observe(t.Context(), "absent")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.engine.Remove(t.Context(), absent); err != nil {
		t.Fatal(err)
	}
	w.engine.Stop("dev-worker-1")
	summaries, err := w.reconciler().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, summary := range summaries {
		got = append(got, summary.Name+" "+string(summary.Status))
	}
	if want := []string{"absent absent", "dev partial", "lost running"}; !slices.Equal(want, got) {
		t.Errorf("got %q, want %q", got, want)
	}
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
	w := newWorld(t)
	dying := w.reconciler()
	dying.Connector = neverReady{APIs: providertest.APIs{Engine: w.engine}, kill: func() { w.engine.Stop("dev-worker-1") }}
	_, err := dying.Create(t.Context(), request())
	if err == nil || !strings.Contains(err.Error(), `"dev-worker-1" does not run any more`) {
		t.Errorf("error = %v", err)
	}
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
