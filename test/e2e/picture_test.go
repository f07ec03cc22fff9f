//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// TestPicture does to a cluster's containers what other hands than Bronze's do, and wants the states that follow. What
// comes later is done to what is left of the nodes.
func TestPicture(t *testing.T) {
	l := newLab(t, "e2e-picture")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))

	r := look(t, l)
	first, worker, mine := r.Cluster+"-controlplane-1", r.Cluster+"-worker-1", r.Cluster+"-worker-2"
	running := map[string]picture.State{first: picture.Running, worker: picture.Running}

	// with are the states of the healthy nodes, but for some.
	with := func(others map[string]picture.State) map[string]picture.State {
		states := maps.Clone(running)
		maps.Copy(states, others)

		return states
	}

	r.wantStates(t, running)
	r.wantExplained(t, worker, "is running", "bronze cluster reconcile", "does nothing")

	for _, step := range []struct {
		name string
		do   func(t *testing.T)
		want map[string]picture.State
		// explained are parts of what explain says of the node.
		of        string
		explained []string
	}{
		{
			"a paused worker", r.docker("pause", worker), with(map[string]picture.State{worker: picture.Paused}),
			worker, []string{"is paused", "was not asked", "bronze cluster resume"},
		},
		{"a worker that goes on", r.docker("unpause", worker), running, worker, []string{"answers as"}},
		{
			"a stopped worker", r.docker("stop", worker), with(map[string]picture.State{worker: picture.Stopped}),
			worker, []string{"is stopped", "bronze cluster start"},
		},
		{"a worker that was started again", r.docker("start", worker), running, worker, []string{"is running"}},
		{
			"a worker made by hand", func(t *testing.T) { r.makeWorker(t) }, with(map[string]picture.State{mine: picture.Foreign}),
			mine, []string{"is foreign", "bronze node add --adopt"},
		},
		{
			"a worker that was removed", r.docker("rm", "-f", worker),
			with(map[string]picture.State{worker: picture.Missing, mine: picture.Foreign}),
			worker, []string{"is missing", "delete Kubernetes node " + worker, "forget affiliate", "create machine"},
		},
		{
			"a worker made by hand that was removed", r.docker("rm", "-f", "-v", mine),
			with(map[string]picture.State{worker: picture.Missing, mine: picture.Ghost}),
			mine, []string{"is ghost", "delete Kubernetes node " + mine},
		},
		{
			"a control plane that is stopped, so that nobody answers", r.docker("stop", first),
			map[string]picture.State{first: picture.Stopped, worker: picture.Missing},
			worker, []string{"no control plane runs"},
		},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.do(t)
			r.wantStates(t, step.want)
			r.wantExplained(t, step.of, step.explained...)
		})
	}
}

func (r running) docker(args ...string) func(t *testing.T) {
	return func(t *testing.T) {
		if _, err := lab.Docker(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
}

// wantStates waits until the picture has these nodes in these states, and no other.
func (r running) wantStates(t *testing.T, want map[string]picture.State) {
	t.Helper()
	until(t, func(ctx context.Context) error {
		text, err := lab.Output(r.Bronze(ctx, "cluster", "show", r.Cluster, "-o", "json"))
		if err != nil {
			return err
		}

		var shown struct{ Picture picture.Picture }
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			return err
		}

		got := map[string]picture.State{}
		for _, node := range shown.Picture.Nodes {
			got[node.Name] = node.State
		}

		if len(got) != len(shown.Picture.Nodes) || !maps.Equal(got, want) {
			return fmt.Errorf("want %v, got %s", want, text)
		}

		return nil
	})
}

// wantExplained wants all of those words in what explain says.
func (r running) wantExplained(t *testing.T, node string, words ...string) {
	t.Helper()

	text := run(t, r.Bronze(t.Context(), "explain", node, "--cluster", r.Cluster))
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("explain %s lacks %q:\n%s", node, word, text)
		}
	}

	if !slices.Contains(strings.Fields(text), "discovery") {
		t.Errorf("explain %s is not whole:\n%s", node, text)
	}
}
