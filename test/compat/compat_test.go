//go:build e2e

// Package compat drives real clusters as their ecosystem does: with the clients that talosctl is made of, call by call,
// and with a real talosctl where one is on PATH. It wants bin/bronze, bin/kubectl and the node image, which `make image`
// makes.
package compat

import (
	"context"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/client"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// TestCompatibility drives every call, on a cluster of one control plane and one worker and on one with three control
// planes, where calls about etcd have somebody to talk to.
func TestCompatibility(t *testing.T) {
	calls := newRecorder()

	t.Run("1+1", func(t *testing.T) {
		create(t, calls, "compat-1", "--workers", "1").testAll(t)
	})
	t.Run("3+1", func(t *testing.T) {
		c := create(t, calls, "compat-3", "--controlplanes", "3", "--workers", "1")

		c.testAll(t)
		t.Run("etcd leadership moves", c.testForfeit)
		t.Run("etcd members leave and are removed", c.testLeaveAndRemove)
	})
	t.Run("every call was driven", calls.testComplete)
}

// cluster is one that is up, and who asks it.
type cluster struct {
	lab.Lab

	client     *client.Client
	kubernetes *kubernetes.Clientset
	talosctl   talosctl
	calls      *recorder
	// controlPlanes and workers are addresses of nodes.
	controlPlanes, workers []string
	// names are the nodes' names by address.
	names map[string]string
}

func create(t *testing.T, calls *recorder, name string, flags ...string) *cluster {
	t.Helper()

	l := labtest.New(t, name)
	labtest.Run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), flags...)...))

	c := &cluster{Lab: l, calls: calls, names: map[string]string{}}
	c.talosctl = findTalosctl(t, l)

	var err error

	c.client, err = client.New(t.Context(), client.WithConfigFromFile(l.Talosconfig()), client.WithContextName(l.Cluster),
		client.WithGRPCDialOptions(c.calls.options()...))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { c.client.Close() })

	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}

	if c.kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}

	c.findNodes(t)

	return c
}

// findNodes asks Kubernetes, which is another witness than the machine API.
func (c *cluster) findNodes(t *testing.T) {
	t.Helper()

	list, err := c.kubernetes.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}

	for _, node := range list.Items {
		address := internalAddress(node)
		c.names[address] = node.Name

		if _, ok := node.Labels["node-role.kubernetes.io/control-plane"]; ok {
			c.controlPlanes = append(c.controlPlanes, address)
		} else {
			c.workers = append(c.workers, address)
		}
	}
}

func internalAddress(node corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}

	return ""
}

func (c *cluster) nodes() []string {
	return append(append([]string{}, c.controlPlanes...), c.workers...)
}

func (c *cluster) testAll(t *testing.T) {
	t.Run("health", c.testHealth)

	for _, group := range []struct {
		name  string
		lines []line
	}{
		{"system", systemLines()},
		{"files", fileLines()},
		{"containers", containerLines()},
		{"services", serviceLines()},
		{"etcd", etcdLines()},
		{"configuration", configurationLines()},
		{"what makes no sense in a container", refusedLines()},
	} {
		t.Run(group.name, func(t *testing.T) { c.drive(t, group.lines) })
	}

	t.Run("resources", c.testResources)
	t.Run("many nodes", c.testManyNodes)
	t.Run("endings", func(t *testing.T) { c.drive(t, endingLines()) })
	t.Run("health after all of that", c.testHealth)
}

// where tells which nodes a line is for.
type where int

const (
	everywhere where = iota
	// onControlPlane is the first one.
	onControlPlane
	onWorker
)

// line is one thing that a user does: as talosctl spells it, and as its client library does it.
type line struct {
	name string
	on   where
	// talosctl is the command line without the flags that say whom to ask; empty where talosctl has no word for it.
	talosctl []string
	// refused means that talosctl is to fail, as do wants it to.
	refused bool
	do      func(ctx context.Context, c *cluster, node string) error
}

func (c *cluster) drive(t *testing.T, lines []line) {
	for _, l := range lines {
		for _, node := range c.targets(l.on) {
			t.Run(l.name+" on "+c.names[node], func(t *testing.T) {
				ctx, cancel := context.WithTimeout(client.WithNode(t.Context(), node), labtest.Patience)
				defer cancel()

				if err := l.do(ctx, c, node); err != nil {
					t.Error(err)
				}

				c.talosctl.run(t, node, l)
			})
		}
	}
}

func (c *cluster) targets(on where) []string {
	switch on {
	case onControlPlane:
		return c.controlPlanes[:1]
	case onWorker:
		return c.workers[:1]
	default:
		return []string{c.controlPlanes[0], c.workers[0]}
	}
}
