package recovery_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
	"github.com/bronze-os/bronze/provision/recovery"
)

const image = "bronze.local/node:test"

// town is a cluster of three control planes and a worker.
type town struct {
	engine *providertest.Memory
	store  *provision.Store
}

func newTown(t *testing.T) town {
	t.Helper()
	store, err := provision.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := town{engine: providertest.NewMemory(image), store: store}
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion, request.ControlPlanes = "dev", image, "v1.37.2", 3
	creator := &provision.Reconciler{
		Provider: w.engine, Store: w.store, Configs: machineconfig.Generator{}, Connector: providertest.APIs{Engine: w.engine},
	}
	if _, err := creator.Create(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		w.look(t)
	}
	return w
}

func (w town) look(t *testing.T) picture.Picture {
	t.Helper()
	record, err := w.store.Load("dev")
	if err != nil {
		t.Fatal(err)
	}
	return picture.Join(reconcile.Look(t.Context(), w.engine, providertest.Reconciling{Engine: w.engine}, record))
}

func (w town) recover(t *testing.T) (recovery.Prospect, error) {
	t.Helper()
	runner := &reconcile.Runner{
		Engine: w.engine, Store: w.store, Connector: providertest.Reconciling{Engine: w.engine}, Patience: 10 * time.Second,
	}
	return recovery.Recovery{Runner: runner}.Recover(t.Context(), "dev", recovery.Options{})
}

// TestARecoveryThatDiesAnywhereCanBeRunAgain counts the effects of a recovery by letting it die after each.
func TestARecoveryThatDiesAnywhereCanBeRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for effects := 0; ; effects++ {
			w := newTown(t)
			w.engine.Vanish("dev-controlplane-1", true)
			w.engine.Vanish("dev-controlplane-3", true)
			w.engine.CrashAfter(effects)
			_, died := w.recover(t)
			w.engine.Revive()
			if died != nil {
				if _, err := w.recover(t); err != nil {
					t.Fatalf("died after %d effects, recovered again: %v", effects, err)
				}
			}
			w.whole(t, effects)
			if died == nil {
				return
			}
		}
	})
}

// whole wants three voters that agree, every node to run and to be in Kubernetes, and no recovery to be under way.
func (w town) whole(t *testing.T, effects int) {
	t.Helper()
	p := w.look(t)
	if p.Quorum.Members != 3 || p.Quorum.Alive != 3 || !p.Quorum.Agreed {
		t.Errorf("after %d effects: quorum %+v", effects, p.Quorum)
	}
	for _, node := range p.Nodes {
		if node.State != picture.Running || node.Kubernetes == nil || !node.Kubernetes.Ready {
			t.Errorf("after %d effects: %s is %s, %s", effects, node.Name, node.State, node.Why)
		}
	}
	if _, err := w.recover(t); !errors.Is(err, recovery.ErrRefused) {
		t.Errorf("after %d effects: another recovery: %v", effects, err)
	}
}

func TestARefusedRecoveryChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, harm := range map[string]func(town){
			"with a quorum": func(w town) { w.engine.Vanish("dev-controlplane-1", true) },
			"with the data of two": func(w town) {
				w.engine.Vanish("dev-controlplane-1", false)
				w.engine.Vanish("dev-controlplane-2", true)
			},
			"with two that are only stopped": func(w town) { w.engine.Stop("dev-controlplane-1"); w.engine.Stop("dev-controlplane-2") },
		} {
			w := newTown(t)
			harm(w)
			before := w.engine.Effects()
			if _, err := w.recover(t); !errors.Is(err, recovery.ErrRefused) || len(provision.Hints(err)) == 0 {
				t.Errorf("%s: %v", name, err)
			}
			if after := w.engine.Effects(); after != before {
				t.Errorf("%s: %d effects", name, after-before)
			}
		}
	})
}
