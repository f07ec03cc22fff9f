package provision_test

import (
	"slices"
	"testing"
)

func TestPreviewTouchesNothing(t *testing.T) {
	w := newWorld(t)
	cluster, steps, err := w.reconciler().Preview(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 5 || cluster.Name != "dev" {
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
