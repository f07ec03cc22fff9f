package docker

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
)

func TestANodeMadeByHandIsRemovedWithItsVolumes(t *testing.T) {
	provider := realEngine(t)
	makeImage(t, provider.engine)
	name := prefix() + "-hand"
	made, err := provider.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image: testImage(), Labels: nodeLabels(prefix(), provision.Worker), Volumes: map[string]struct{}{"/var": {}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := provider.engine.ContainerInspect(t.Context(), made.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	observed, err := provider.Observe(t.Context(), prefix())
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Remove(t.Context(), observed); err != nil {
		t.Fatal(err)
	}
	hands := hands{engine: provider.engine}
	if hands.has(providertest.KindContainer, name) {
		t.Error("the container is still there")
	}
	for _, mount := range inspected.Container.Mounts {
		if hands.has(providertest.KindVolume, mount.Name) {
			t.Errorf("its volume on %s is still there", mount.Destination)
		}
	}
	if len(inspected.Container.Mounts) != 1 {
		t.Errorf("it had %d volumes, want 1", len(inspected.Container.Mounts))
	}
}

// oneNode makes a network and one node on it, and takes them away when the test ends.
func oneNode(t *testing.T, provider *Provider) provision.Node {
	t.Helper()
	makeImage(t, provider.engine)
	cluster := testCluster(t)
	cluster.Name, cluster.Image = prefix(), testImage()
	cluster.Network.Name, cluster.Network.Subnet = prefix(), freeSubnet(t, provider)
	address := cluster.Network.Gateway().Next()
	node := provision.Node{Name: prefix() + "-one", Role: provision.Worker, IP: address}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		observed, err := provider.Observe(ctx, prefix())
		if err := errors.Join(err, provider.Remove(ctx, observed)); err != nil {
			t.Error(err)
		}
	})
	if err := provider.CreateNetwork(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if err := provider.CreateNode(t.Context(), cluster, node, nil); err != nil {
		t.Fatal(err)
	}
	return node
}

func TestWhatTheEngineCannotDoIsFoundOutOnce(t *testing.T) {
	provider := realEngine(t)
	oneNode(t, provider)
	later := &Provider{engine: provider.engine, host: provider.host, stateDir: provider.stateDir}
	known, err := later.isolationNow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*provider.isolation, known); diff != "" {
		t.Errorf("a later process knows something else (-found +known):\n%s", diff)
	}
}

func TestANodeStartsWhereItWasExpectedToBePrivilegedAndCannotBe(t *testing.T) {
	provider := realEngine(t)
	provider.isolation = &isolation{}
	oneNode(t, provider)
}

func TestLastWordsAreWhatANodePrinted(t *testing.T) {
	provider := realEngine(t)
	node := oneNode(t, provider)
	options := client.ContainerLogsOptions{ShowStdout: true, Follow: true}
	logs, err := provider.engine.ContainerLogs(t.Context(), node.Name, options)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if _, err := logs.Read(make([]byte, 1)); err != nil {
		t.Fatalf("waiting for its first word: %v", err)
	}
	if words, err := provider.LastWords(t.Context(), node.Name); err != nil || words != "waiting to be stopped" {
		t.Errorf("LastWords = %q, %v", words, err)
	}
}
