package provision_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

const newImage = "bronze.local/node:v0.2.0"

// imagesOf are the images of the cluster's machines, by name.
func (w *world) imagesOf(t *testing.T) map[string]string {
	t.Helper()
	observed, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]string{}
	for _, machine := range append(observed.Machines, observed.Balancers...) {
		images[machine.Name] = machine.Image
	}
	return images
}

func all(image string) map[string]string {
	return map[string]string{
		"dev-controlplane-1": image, "dev-controlplane-2": image, "dev-worker-1": image, "dev-loadbalancer": image,
	}
}

func (w *world) wantOpen(t *testing.T) {
	t.Helper()
	for name := range all("") {
		if w.engine.Cordoned(name) {
			t.Errorf("%s takes no pods", name)
		}
	}
}

func TestUpgradeSwapsMachinesOneByOneAndKeepsAllElse(t *testing.T) {
	w := newWorld(t)
	grown(t, w)
	w.engine.AddImage(newImage, false)
	before, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	result, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: newImage})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"upgrade node dev-controlplane-1",
		"upgrade node dev-controlplane-2 after dev-controlplane-1",
		"upgrade node dev-worker-1 after dev-controlplane-2",
		"upgrade balancer dev-loadbalancer after dev-worker-1",
	}
	if diff := cmp.Diff(want, stepsOf(result)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all(newImage), w.imagesOf(t)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	after, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Volumes, after.Volumes); diff != "" {
		t.Errorf("volumes (-before +after):\n%s", diff)
	}
	for i, machine := range append(after.Machines, after.Balancers...) {
		was := append(before.Machines, before.Balancers...)[i]
		same := machine.Name == was.Name && machine.IP == was.IP && len(machine.Ports) == len(was.Ports)
		for i := range machine.Ports {
			same = same && machine.Ports[i] == was.Ports[i]
		}
		if !same {
			t.Errorf("was %+v, is %+v", was, machine)
		}
	}
	record, err := w.store.Load("dev")
	if err != nil || record.Cluster.Image != newImage {
		t.Errorf("stored image %s, %v", record.Cluster.Image, err)
	}
	w.wantOpen(t)
	again, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: newImage})
	if err != nil || len(again.Steps) > 0 {
		t.Errorf("a second upgrade does %v, %v", again.Steps, err)
	}
}

func TestUpgradeBringsNodesOfAnotherImageBackToTheClusters(t *testing.T) {
	w := newWorld(t)
	grown(t, w)
	w.engine.AddImage(newImage, false)
	record, err := w.store.Load("dev")
	if err != nil {
		t.Fatal(err)
	}
	record.Cluster.Nodes[2].Image = "bronze.local/node:own"
	if err := w.store.Save(record); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: newImage}); err != nil {
		t.Fatal(err)
	}
	record, err = w.store.Load("dev")
	if err != nil || record.Cluster.Nodes[2].Image != "" {
		t.Errorf("stored image %q, %v", record.Cluster.Nodes[2].Image, err)
	}
	if diff := cmp.Diff(all(newImage), w.imagesOf(t)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

func TestUpgradeGivesANodeItsOldImageBackThatDoesNotBecomeHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		grown(t, w)
		w.engine.AddImage(newImage, true)
		_, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: newImage})
		if err == nil || !strings.Contains(err.Error(), `"dev-controlplane-1" has its old image back and is healthy`) {
			t.Errorf("error = %v", err)
		}
		if diff := cmp.Diff(all(image), w.imagesOf(t)); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
		w.wantOpen(t)
		if record, err := w.store.Load("dev"); err != nil || record.Cluster.Image != image {
			t.Errorf("stored image %s, %v", record.Cluster.Image, err)
		}
	})
}

// TestAnUpgradeThatDiesAnywhereGoesOn kills the process after each of its effects, and runs the upgrade again.
func TestAnUpgradeThatDiesAnywhereGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for effects := 0; ; effects++ {
			w := newWorld(t)
			grown(t, w)
			w.engine.AddImage(newImage, false)
			w.engine.CrashAfter(effects)
			_, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: newImage})
			w.engine.Revive()
			died := err != nil
			if _, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: newImage}); err != nil {
				t.Fatalf("died after %d effects, upgrade again: %v", effects, err)
			}
			if diff := cmp.Diff(all(newImage), w.imagesOf(t)); diff != "" {
				t.Fatalf("died after %d effects (-want +got):\n%s", effects, diff)
			}
			w.wantOpen(t)
			if !died {
				break
			}
		}
	})
}

func TestUpgradeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(t *testing.T, w *world)
		image   string
		want    error
	}{
		"a cluster that is not there":   {func(*testing.T, *world) {}, image, provision.ErrNotFound},
		"no image":                      {grown, "", nil},
		"an image that is not there":    {grown, "bronze.local/node:missing", nil},
		"a cluster that does not run":   {halted, newImage, nil},
		"a cluster with two nodes away": {lostTwo, newImage, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.engine.AddImage(newImage, false)
				test.arrange(t, w)
				effects := w.engine.Effects()
				_, err := w.reconciler().Upgrade(t.Context(), "dev", provision.Upgrade{Image: test.image})
				if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
					t.Errorf("error = %v, want %v", err, test.want)
				}
				if made := w.engine.Effects() - effects; made != 0 {
					t.Errorf("%d effects on the engine", made)
				}
			})
		})
	}
}

func lostTwo(t *testing.T, w *world) {
	t.Helper()
	grown(t, w)
	w.engine.Stop("dev-worker-1")
	w.engine.Stop("dev-controlplane-2")
}

func TestPreviewOfAnUpgradeTouchesNothing(t *testing.T) {
	w := newWorld(t)
	created(t, w)
	w.engine.AddImage(newImage, false)
	effects := w.engine.Effects()
	steps, err := w.reconciler().PreviewUpgrade(t.Context(), "dev", provision.Upgrade{Image: newImage})
	if err != nil || len(steps) != 3 || w.engine.Effects() != effects {
		t.Errorf("steps %v, %v", steps, err)
	}
}

func TestNodesThatGetNoConfigAreNotBootstrapped(t *testing.T) {
	w := newWorld(t)
	r := w.reconciler()
	r.Uninjected = true
	result, err := r.Create(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range result.Steps {
		if step.Action == provision.Bootstrap {
			t.Error("bootstrapped")
		}
	}
	for _, node := range []string{"dev-controlplane-1", "dev-worker-1"} {
		if config := w.engine.Config(node); len(config) > 0 {
			t.Errorf("%s has the machine config %q", node, config)
		}
	}
	if _, err := w.reconciler().Create(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
}
