package docker

import (
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/providers/providertest"
)

// hands do to the engine what is not Bronze's doing.
type hands struct {
	engine *client.Client
}

func (h hands) add(t *testing.T, kind, name string) {
	t.Helper()
	var err error
	switch kind {
	case providertest.KindContainer:
		_, err = h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name: name, Config: &container.Config{Image: testImage()},
		})
	case providertest.KindVolume:
		_, err = h.engine.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name})
	case providertest.KindNetwork:
		_, err = h.engine.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.remove(context.WithoutCancel(t.Context()), kind, name); err != nil {
			t.Error(err)
		}
	})
}

func (h hands) remove(ctx context.Context, kind, name string) (err error) {
	switch kind {
	case providertest.KindContainer:
		_, err = h.engine.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true})
	case providertest.KindVolume:
		_, err = h.engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	case providertest.KindNetwork:
		_, err = h.engine.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	}
	return err
}

func (h hands) rename(t *testing.T, name, to string) {
	t.Helper()
	if _, err := h.engine.ContainerRename(t.Context(), name, client.ContainerRenameOptions{NewName: to}); err != nil {
		t.Fatal(err)
	}
}

// vanish is docker rm -f -v.
func (h hands) vanish(t *testing.T, name string) {
	t.Helper()
	options := client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}
	if _, err := h.engine.ContainerRemove(t.Context(), name, options); err != nil {
		t.Fatal(err)
	}
}

// backends asks the balancer's own program in its container.
func (h hands) backends(t *testing.T, name string) []netip.Addr {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "docker", "exec", name, boot.BalancerPath, "backends").CombinedOutput()
	if err != nil {
		t.Fatalf("asking %s for its backends: %v\n%s", name, err, output)
	}
	var backends []netip.Addr
	for line := range strings.FieldsSeq(string(output)) {
		backends = append(backends, netip.MustParseAddr(line))
	}
	return backends
}

func (h hands) has(kind, name string) bool {
	var err error
	switch kind {
	case providertest.KindContainer:
		_, err = h.engine.ContainerInspect(context.Background(), name, client.ContainerInspectOptions{})
	case providertest.KindVolume:
		_, err = h.engine.VolumeInspect(context.Background(), name, client.VolumeInspectOptions{})
	case providertest.KindNetwork:
		_, err = h.engine.NetworkInspect(context.Background(), name, client.NetworkInspectOptions{})
	}
	return err == nil
}
