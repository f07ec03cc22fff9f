//go:build e2e

// Package e2e makes real clusters with the built commands on the real engine and looks at them from outside: through
// kubectl, through the client that talosctl is made of, and through the host's own /proc. It wants bin/bronze,
// bin/kubectl and the node image, which `make image` makes.
package e2e

import (
	"context"
	"encoding/json"
	"os/exec"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

const (
	kubernetesVersion = "v1.37.2"
	patience          = labtest.Patience
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

func newLab(t *testing.T, cluster string) lab.Lab { return labtest.New(t, cluster) }

func run(t *testing.T, command *exec.Cmd) string {
	t.Helper()

	return labtest.Run(t, command)
}

func until(t *testing.T, holds func(context.Context) error) {
	t.Helper()
	labtest.Until(t, holds)
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
