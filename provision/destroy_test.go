package provision_test

import (
	"errors"
	"testing"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
)

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
