//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab"
)

// testNodes holds create to its word: when it returned, both nodes were Ready.
func (r running) testNodes(t *testing.T) {
	type seen struct {
		Name, Version string
		Ready         bool
	}

	want := []seen{
		{r.Cluster + "-controlplane-1", kubernetesVersion, true},
		{r.Cluster + "-worker-1", kubernetesVersion, true},
	}

	var got []seen
	for _, node := range r.nodes {
		got = append(got, seen{node.Name, node.Status.NodeInfo.KubeletVersion, ready(node)})
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes right after create (-want +got):\n%s", diff)
	}
}

func ready(node corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}

	return false
}

// testKubeSystem waits until every system pod runs, as some may still start when create returns.
func (r running) testKubeSystem(t *testing.T) {
	until(t, func(ctx context.Context) error {
		pods, err := r.pods(ctx, "--namespace", "kube-system")
		if err != nil {
			return err
		}

		return errors.Join(r.mirrorPodsIn(pods), allReady(pods))
	})
}

func (r running) pods(ctx context.Context, args ...string) ([]corev1.Pod, error) {
	output, err := lab.Output(r.Kubectl(ctx, append([]string{"get", "pods", "-o", "json"}, args...)...))
	if err != nil {
		return nil, err
	}

	var list corev1.PodList
	if err := json.Unmarshal([]byte(output), &list); err != nil {
		return nil, fmt.Errorf("decoding pods: %w", err)
	}

	return list.Items, nil
}

// mirrorPodsIn wants the control plane as static pods that the kubelet of the first node mirrors.
func (r running) mirrorPodsIn(pods []corev1.Pod) error {
	mirrored := map[string]bool{}

	for _, pod := range pods {
		if _, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]; ok {
			mirrored[pod.Name] = true
		}
	}

	var errs []error
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if name := program + "-" + r.nodes[0].Name; !mirrored[name] {
			errs = append(errs, fmt.Errorf("%s is no mirror pod", name))
		}
	}

	return errors.Join(errs...)
}

// allReady wants every pod to run with all its containers ready, or to have ended well.
func allReady(pods []corev1.Pod) error {
	var errs []error

	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodRunning && pod.Status.Phase != corev1.PodSucceeded {
			errs = append(errs, fmt.Errorf("pod %s is %s: %s", pod.Name, pod.Status.Phase, pod.Status.Message))
		}

		for _, container := range pod.Status.ContainerStatuses {
			if pod.Status.Phase == corev1.PodRunning && !container.Ready {
				errs = append(errs, fmt.Errorf("container %s of pod %s is not ready: %v", container.Name, pod.Name, container.State))
			}
		}
	}

	return errors.Join(errs...)
}

// testPatches looks for what examples/patches asked of the kubelets.
func (r running) testPatches(t *testing.T) {
	for _, node := range r.nodes {
		if got := node.Status.Allocatable.Pods().Value(); got != 50 {
			t.Errorf("node %s takes %d pods, want the 50 of max-pods.yaml", node.Name, got)
		}
	}

	worker := r.nodes[len(r.nodes)-1]
	if got := worker.Labels["example.com/pool"]; got != "batch" {
		t.Errorf("node %s has the label example.com/pool=%q, want the batch of worker-label.json", worker.Name, got)
	}
}
