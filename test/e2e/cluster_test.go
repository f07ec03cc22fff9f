//go:build e2e

// Package e2e makes real clusters with the built commands on the real engine and looks at them from outside: through
// kubectl, through the client that talosctl is made of, and through the host's own /proc. It wants bin/bronze,
// bin/kubectl and the node image, which `make image` makes.
package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/need"
)

const (
	kubernetesVersion = "v1.37.2"
	// patience bounds each wait for a cluster that is up; a wait that is cut short says what was missing.
	patience = time.Minute
)

// TestCluster makes one cluster of two nodes, shows that it works, and takes it away without a trace.
func TestCluster(t *testing.T) {
	l := newLab(t, "e2e")
	before := observeHost(t)

	keepOtherContexts(t, l)
	run(t, l.Bronze(t.Context(), "cluster", "create", l.Cluster, "--workers", "1", "--exposed-ports", "0:30080/tcp",
		"--config-patch", "@examples/patches/max-pods.yaml", "--config-patch-worker", "@examples/patches/worker-label.json"))

	cluster := look(t, l)

	t.Run("nodes", cluster.testNodes)
	t.Run("kube-system", cluster.testKubeSystem)
	t.Run("patches", cluster.testPatches)
	t.Run("workload", cluster.testWorkload)
	t.Run("machine API", cluster.testMachineAPI)
	t.Run("restarts", cluster.testRestarts)
	t.Run("node made by hand", cluster.testHandmadeWorker)

	traces := tracesOf(t, l)
	run(t, l.Bronze(t.Context(), "cluster", "destroy", l.Cluster))

	t.Run("destroy leaves nothing of the cluster", func(t *testing.T) { checkNothingLeft(t, l, traces) })
	t.Run("destroy leaves the host as it was", func(t *testing.T) { checkSameHost(t, before, observeHost(t)) })
	t.Run("destroy leaves other contexts", func(t *testing.T) { checkOtherContexts(t, l) })
}

// newLab skips the test where a cluster cannot be made, and fails it there under CI. It destroys what the test leaves.
func newLab(t *testing.T, name string) lab.Lab {
	t.Helper()

	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}

	for _, need := range []struct{ cure, command string }{
		{"hack/setup", "docker version"},
		{"make image", "docker image inspect " + nodeImage(t, root)},
		{"make image", "test -x " + root + "/bin/bronze -a -x " + root + "/bin/kubectl"},
	} {
		words := strings.Fields(need.command)
		if output, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			missing(t, need.command, need.cure, output)
		}
	}

	l := lab.Lab{Root: root, Dir: t.TempDir(), Cluster: name}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()

		if owned, err := l.Owned(ctx); err != nil || len(owned) > 0 {
			_, err := lab.Output(l.Bronze(ctx, "cluster", "destroy", l.Cluster))
			t.Logf("destroyed what the test had left (%v, %v)", owned, err)
		}
	})

	return l
}

func missing(t *testing.T, command, cure string, output []byte) {
	t.Helper()

	need.Missing(t, "run %s first: %s: %s", cure, command, output)
}

// nodeImage reads the reference from the manifest, as a user of the repository would.
func nodeImage(t *testing.T, root string) string {
	t.Helper()

	manifest, err := os.ReadFile(filepath.Join(root, "images/node/node.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	for line := range strings.Lines(string(manifest)) {
		if version, ok := strings.CutPrefix(line, "version: "); ok {
			return "bronze.local/node:" + strings.TrimSpace(version)
		}
	}

	t.Fatal("images/node/node.yaml names no version")

	return ""
}

// run is lab.Output that ends the test on an error.
func run(t *testing.T, command *exec.Cmd) string {
	t.Helper()

	output, err := lab.Output(command)
	if err != nil {
		t.Fatal(err)
	}

	return output
}

// until is lab.Until within patience; it ends the test on an error.
func until(t *testing.T, holds func(context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	if err := lab.Until(ctx, holds); err != nil {
		t.Fatal(err)
	}
}

// running is a cluster that is up, with its nodes as Kubernetes knew them at first.
type running struct {
	lab.Lab

	nodes []corev1.Node
}

func look(t *testing.T, l lab.Lab) running {
	t.Helper()

	var nodes corev1.NodeList
	get(t, l, &nodes, "nodes", "--sort-by=.metadata.name")

	return running{Lab: l, nodes: nodes.Items}
}

// get decodes what `kubectl get` answers.
func get(t *testing.T, l lab.Lab, into any, args ...string) {
	t.Helper()

	output := run(t, l.Kubectl(t.Context(), append([]string{"get", "-o", "json"}, args...)...))
	if err := json.Unmarshal([]byte(output), into); err != nil {
		t.Fatalf("decoding kubectl get %v: %v", args, err)
	}
}

// addresses are the nodes' internal ones, in the order of the nodes.
func (r running) addresses() []string {
	var addresses []string

	for _, node := range r.nodes {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				addresses = append(addresses, address.Address)
			}
		}
	}

	return addresses
}
