//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bronze-os/bronze/test/lab/labtest"
)

// condition is one of those that `talosctl health` waits for, in its words, checked here without it.
type condition struct {
	name  string
	on    []string
	holds func(ctx context.Context, c *cluster, node string) error
}

func (c *cluster) conditions() []condition {
	all, first := c.nodes(), c.controlPlanes[:1]

	return []condition{
		{"etcd to be healthy", c.controlPlanes, etcdHealthy},
		{"etcd members to be consistent across nodes", c.controlPlanes, etcdConsistent},
		{"etcd members to be control plane nodes", first, etcdMembers},
		{"apid to be ready", all, version},
		{"all nodes memory sizes", all, memory},
		{"all nodes disk sizes", all, mounts},
		{"no diagnostics", all, noDiagnostics},
		{"kubelet to be healthy", all, kubeletService},
		{"all nodes to finish boot sequence", all, events},
		{"all k8s nodes to report", first, nodesReport},
		{"all control plane static pods to be running", c.controlPlanes, staticPods},
		{"all control plane components to be ready", c.controlPlanes, components},
		{"all k8s nodes to report ready", all, ready},
		{"kube-proxy to report ready", first, podsReady("k8s-app=kube-proxy")},
		{"coredns to report ready", first, podsReady("k8s-app=kube-dns")},
		{"all k8s nodes to report schedulable", first, schedulable},
	}
}

func (c *cluster) testHealth(t *testing.T) {
	for _, condition := range c.conditions() {
		t.Run(condition.name, func(t *testing.T) {
			for _, node := range condition.on {
				labtest.Until(t, func(ctx context.Context) error { return condition.holds(client.WithNode(ctx, node), c, node) })
			}
		})
	}

	t.Run("the cluster's own health check", c.testHealthCheck)
	c.talosctl.run(t, c.controlPlanes[0], line{talosctl: []string{"health", "--wait-timeout", "1m"}})
}

func (c *cluster) testHealthCheck(t *testing.T) {
	ctx := client.WithNode(t.Context(), c.controlPlanes[0])

	stream, err := c.client.ClusterHealthCheck(ctx, time.Minute, &clusterapi.ClusterInfo{ControlPlaneNodes: c.controlPlanes, WorkerNodes: c.workers})

	told, err := receive(stream, err)
	if err != nil {
		t.Fatal(err)
	}

	for _, message := range told {
		if message.GetMetadata().GetError() != "" {
			t.Errorf("it says %v", message.GetMetadata())
		}
	}

	if len(told) < len(c.conditions()) {
		t.Errorf("it tells of %d conditions: %v", len(told), told)
	}
}

func etcdHealthy(ctx context.Context, c *cluster, _ string) error {
	info, err := one(c.client.ServiceInfo(ctx, "etcd"))

	return errors.Join(err, want(info.Service.GetHealth().GetHealthy(), "etcd is %v", info.Service))
}

// etcdConsistent compares a member list with the first control plane's.
func etcdConsistent(ctx context.Context, c *cluster, node string) error {
	here, err := memberIDs(ctx, c)
	if err != nil {
		return err
	}

	there, err := memberIDs(client.WithNode(ctx, c.controlPlanes[0]), c)

	return errors.Join(err, want(slices.Equal(here, there), "%s knows members %x, and %s %x", node, here, c.controlPlanes[0], there))
}

func memberIDs(ctx context.Context, c *cluster) ([]uint64, error) {
	all, err := members(ctx, c)

	var ids []uint64
	for _, member := range all {
		ids = append(ids, member.GetId())
	}

	slices.Sort(ids)

	return ids, err
}

func noDiagnostics(ctx context.Context, c *cluster, _ string) error {
	list, err := safe.StateListAll[*runtime.Diagnostic](ctx, c.client.COSI)
	if err != nil {
		return err
	}

	for diagnostic := range list.All() {
		return fmt.Errorf("%s: %s", diagnostic.Metadata().ID(), diagnostic.TypedSpec().Message)
	}

	return nil
}

func nodesReport(ctx context.Context, c *cluster, _ string) error {
	list, err := c.kubernetes.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}

	var reported []string
	for _, node := range list.Items {
		reported = append(reported, internalAddress(node))
	}

	slices.Sort(reported)
	wanted := slices.Sorted(slices.Values(c.nodes()))

	return want(slices.Equal(reported, wanted), "%v report, want %v", reported, wanted)
}

func staticPods(ctx context.Context, c *cluster, _ string) error {
	list, err := safe.StateListAll[*k8s.StaticPodStatus](ctx, c.client.COSI)
	if err != nil {
		return err
	}

	running := 0

	for status := range list.All() {
		if status.TypedSpec().PodStatus["phase"] == string(corev1.PodRunning) {
			running++
		}
	}

	return want(running == len(staticPodNames()), "%d static pods run, want %d", running, len(staticPodNames()))
}

func staticPodNames() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
}

func components(ctx context.Context, c *cluster, node string) error {
	for _, name := range staticPodNames() {
		pod, err := c.kubernetes.CoreV1().Pods(metav1.NamespaceSystem).Get(ctx, name+"-"+c.names[node], metav1.GetOptions{})
		if err != nil {
			return err
		}

		if err := podReady(*pod); err != nil {
			return err
		}
	}

	return nil
}

func podReady(pod corev1.Pod) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return want(condition.Status == corev1.ConditionTrue, "%s is not ready: %s", pod.Name, condition.Message)
		}
	}

	return fmt.Errorf("%s does not say whether it is ready", pod.Name)
}

func podsReady(selector string) func(context.Context, *cluster, string) error {
	return func(ctx context.Context, c *cluster, _ string) error {
		list, err := c.kubernetes.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err
		}

		errs := []error{want(len(list.Items) > 0, "there is no pod with %s", selector)}
		for _, pod := range list.Items {
			errs = append(errs, podReady(pod))
		}

		return errors.Join(errs...)
	}
}

func schedulable(ctx context.Context, c *cluster, _ string) error {
	list, err := c.kubernetes.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}

	for _, node := range list.Items {
		if node.Spec.Unschedulable {
			return fmt.Errorf("%s is not schedulable", node.Name)
		}
	}

	return nil
}
