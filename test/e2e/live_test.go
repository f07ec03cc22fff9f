//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// liveLimit is how long a change of the machine config may take to show in Kubernetes.
const liveLimit = 15 * time.Second

// TestLive changes a node label, a flag of the API server and a registry mirror in one patch, and takes the label back.
func TestLive(t *testing.T) {
	l := newLab(t, "live")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "0")...))

	cluster := look(t, l)

	c, err := client.New(t.Context(), client.WithConfigFromFile(l.Talosconfig()), client.WithContextName(l.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	node := configured{
		running: cluster, client: c, name: cluster.nodes[0].Name, ctx: client.WithNode(t.Context(), cluster.addresses()[0]),
	}
	before := node.started(t)
	image, endpoint := mirror(t, cluster.addresses()[0])

	started := time.Now()

	answer := node.mustApply(t, fmt.Sprintf(`machine:
  nodeLabels: {example.org/live: "yes"}
  registries: {mirrors: {registry.invalid: {endpoints: [%q]}}}
cluster:
  apiServer: {extraArgs: {event-ttl: 33m0s}}
  inlineManifests: [{name: live, contents: "{apiVersion: v1, kind: ConfigMap, metadata: {name: live, namespace: default}}"}]
`, endpoint), auto())
	if answer.Mode != machine.ApplyConfigurationRequest_NO_REBOOT || len(answer.Warnings) > 0 {
		t.Errorf("applied in mode %s (%s) with warnings %q", answer.Mode, answer.ModeDetails, answer.Warnings)
	}

	node.nodeHas(t, `{.metadata.labels.example\.org/live}`, "yes")
	node.apiServerHas(t, "--event-ttl=33m0s")
	until(t, func(ctx context.Context) error {
		_, err := lab.Output(node.Kubectl(ctx, "get", "configmap", "live"))
		return err
	})
	node.pulls(t, image)

	if took := time.Since(started); took > liveLimit {
		t.Errorf("all of it showed after %s, want %s", took, liveLimit)
	} else {
		t.Logf("all of it showed after %s", took)
	}

	node.mustApply(t, `machine: {nodeLabels: {example.org/live: {$patch: delete}}}`, auto())
	node.nodeHas(t, `{.metadata.labels.example\.org/live}`, "")
	node.notRestarted(t, before)

	run(t, l.Bronze(t.Context(), "cluster", "destroy", l.Cluster))
}

// mirror serves a registry with one image to the nodes of a cluster, on the host's address in their network. It answers
// the image's name in a registry that does not exist, and its own address.
func mirror(t *testing.T, node string) (image, endpoint string) {
	t.Helper()

	prefix, err := netip.MustParseAddr(node).Prefix(24)
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", net.JoinHostPort(prefix.Addr().Next().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}

	files := http.FileServerFS(repository(t))

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", string(types.DockerManifestSchema2))
		}

		files.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)

	return "registry.invalid/live/image:v1", server.URL
}

// repository holds an image as a registry shows it to those who only pull.
func repository(t *testing.T) fs.FS {
	t.Helper()

	image, err := random.Image(1<<10, 1)
	if err != nil {
		t.Fatal(err)
	}

	manifest, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}

	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}

	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}

	compressed, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer compressed.Close()

	layer, err := io.ReadAll(compressed)
	if err != nil {
		t.Fatal(err)
	}

	blob := func(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

	return fstest.MapFS{
		"v2/live/image/manifests/v1":                {Data: manifest},
		"v2/live/image/manifests/" + blob(manifest): {Data: manifest},
		"v2/live/image/blobs/" + blob(config):       {Data: config},
		"v2/live/image/blobs/" + blob(layer):        {Data: layer},
	}
}

// apiServerHas waits until the API server, which only it can tell, has the flag.
func (c configured) apiServerHas(t *testing.T, flag string) {
	t.Helper()

	until(t, func(ctx context.Context) error {
		command, err := lab.Output(c.Kubectl(ctx, "get", "pod", "--namespace", "kube-system", "kube-apiserver-"+c.name,
			"-o", "jsonpath={.spec.containers[0].command}"))
		if err == nil && !strings.Contains(command, flag) {
			err = fmt.Errorf("the API server is %s", command)
		}

		return err
	})
}

// pulls waits until the kubelet tells that it has pulled the image. There is nothing in it that could run.
func (c configured) pulls(t *testing.T, image string) {
	t.Helper()

	until(t, func(ctx context.Context) error {
		_, err := lab.Output(c.Kubectl(ctx, "run", "live", "--image="+image, "--restart=Never"))
		if err != nil && strings.Contains(err.Error(), "already exists") {
			return nil
		}

		return err
	})
	until(t, func(ctx context.Context) error {
		events, err := lab.Output(c.Kubectl(ctx, "get", "events", "--field-selector=involvedObject.name=live"))
		if err == nil && !strings.Contains(events, "Successfully pulled image") {
			err = fmt.Errorf("events of the pod: %s", events)
		}

		return err
	})
}
