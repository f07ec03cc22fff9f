package provision_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
)

func TestADestroyThatDiesAnywhereCanBeRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	})
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
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		w.engine = providertest.NewMemory(image)
		if _, err := w.reconciler().Destroy(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
		w.nothing(t)
	})
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

func TestDestroyWaitsForWhatTheEngineStillMakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		// The network, the worker's six volumes, its container, its start.
		w.engine.CrashAfter(9)
		if _, err := w.reconciler().Create(t.Context(), request()); err == nil {
			t.Fatal("the create did not die")
		}
		w.engine.Revive()
		record, err := w.store.Load("dev")
		if err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(500*time.Millisecond, func() {
			err := w.engine.CreateNetwork(t.Context(), record.Cluster)
			for _, node := range record.Cluster.Nodes {
				err = errors.Join(err, w.engine.CreateNode(t.Context(), record.Cluster, node, nil))
			}
			if err != nil {
				t.Error(err)
			}
		})
		defer late.Stop()
		if _, err := w.reconciler().Destroy(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		w.nothing(t)
	})
}
