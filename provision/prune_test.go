package provision_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// TestPruneClearsUpAfterACreateThatDiedAnywhere loses the state, and all machines brutally, after a create that died.
func TestPruneClearsUpAfterACreateThatDiedAnywhere(t *testing.T) {
	for effects := 0; ; effects++ {
		w := newWorld(t)
		w.engine.CrashAfter(effects)
		_, died := w.reconciler().Create(t.Context(), request())
		w.engine.Revive()
		w.store = openStore(t)
		w.deleteMachines(t)
		w.pruneUntilNothing(t)
		if died == nil {
			return
		}
	}
}

// TestPruneThatDiesAnywhereCanBeRunAgain counts the effects of a prune by letting it die after each.
func TestPruneThatDiesAnywhereCanBeRunAgain(t *testing.T) {
	for effects := 0; ; effects++ {
		w := newWorld(t)
		if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		w.store = openStore(t)
		w.deleteMachines(t)
		w.engine.CrashAfter(effects)
		died := w.prune(t)
		w.engine.Revive()
		w.pruneUntilNothing(t)
		if died == nil {
			return
		}
	}
}

func (w *world) deleteMachines(t *testing.T) {
	t.Helper()
	observed, err := w.engine.Observe(t.Context(), "")
	if err == nil {
		err = w.engine.Remove(t.Context(), provision.Observed{Machines: observed.Machines, Balancers: observed.Balancers})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) prune(t *testing.T) error {
	t.Helper()
	found, err := w.reconciler().Litter(t.Context())
	if err != nil {
		return err
	}
	return w.reconciler().Prune(t.Context(), found)
}

func (w *world) pruneUntilNothing(t *testing.T) {
	t.Helper()
	if err := w.prune(t); err != nil {
		t.Fatal(err)
	}
	observed, err := w.engine.Observe(t.Context(), "")
	if err != nil || !observed.Empty() {
		t.Fatalf("left %+v, %v", observed, err)
	}
	if found, err := w.reconciler().Litter(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("there is litter after a prune: %v, %v", found, err)
	}
}

func TestPruneLeavesClustersAlone(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *world){
		"a running one":                     func(*testing.T, *world) {},
		"a running one of another state":    func(t *testing.T, w *world) { w.store = openStore(t) },
		"a stored one without its machines": func(t *testing.T, w *world) { w.deleteMachines(t) },
		"a stopped one of another state": func(t *testing.T, w *world) {
			if _, err := w.reconciler().Stop(t.Context(), "dev"); err != nil {
				t.Fatal(err)
			}
			w.store = openStore(t)
		},
		"one that is worked on": func(t *testing.T, w *world) {
			w.deleteMachines(t)
			w.store = openStore(t)
			if _, err := w.store.Lock("dev"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
				t.Fatal(err)
			}
			change(t, w)
			found, err := w.reconciler().Litter(t.Context())
			if err != nil || len(found) > 0 {
				t.Errorf("litter %v, %v", found, err)
			}
		})
	}
}

func TestNothingIsLitterWhereTheEngineIsSilent(t *testing.T) {
	w := newWorld(t)
	w.engine.CrashAfter(0)
	if found, err := w.reconciler().Litter(t.Context()); err == nil || len(found) > 0 {
		t.Errorf("litter %v, %v", found, err)
	}
}

func TestPruneStopsWhereACreateHasBegun(t *testing.T) {
	w := newWorld(t)
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	lost := w.store
	w.store = openStore(t)
	w.deleteMachines(t)
	found, err := w.reconciler().Litter(t.Context())
	if err != nil || len(found) == 0 {
		t.Fatalf("litter %v, %v", found, err)
	}
	w.store = lost
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if err := w.reconciler().Prune(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
}

func TestPruneSweepsTheStateDirectory(t *testing.T) {
	w := newWorld(t)
	dir := w.store.Dir()
	old := []string{"gone.lock", "clusters/half/secrets.yaml", "clusters/half/.cluster.yaml.123", "clusters/kept/snapshots/x.db.part"}
	young := []string{"fresh.lock", "clusters/fresh/secrets.yaml"}
	kept := append(young, "clusters/kept/cluster.yaml", "engine-1.json", "clusters/kept/nodes/a.yaml")
	for _, name := range append(old, kept...) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	for _, name := range append(old, "clusters/half", "clusters/kept/cluster.yaml") {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.prune(t); err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	for _, name := range kept {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}
