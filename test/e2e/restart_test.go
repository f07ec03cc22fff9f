//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/client"
	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab"
)

// testRestarts ends and starts nodes in each way that keeps their volumes, and wants the workload back by itself, under
// the contexts that create wrote.
func (r running) testRestarts(t *testing.T) {
	c, err := client.New(t.Context(), client.WithConfigFromFile(r.Talosconfig()), client.WithContextName(r.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	pods := r.webPods(t)

	for i, node := range r.nodes {
		t.Run("docker restart of "+node.Name, func(t *testing.T) {
			if _, err := lab.Docker(t.Context(), "restart", "--time", "20", node.Name); err != nil {
				t.Fatal(err)
			}

			r.checkBack(t, node.Name, 2, pods)
		})
		t.Run("reboot of "+node.Name, func(t *testing.T) {
			if err := c.Reboot(client.WithNode(t.Context(), r.addresses()[i])); err != nil {
				t.Fatal(err)
			}

			r.checkBack(t, node.Name, 3, pods)
		})
	}
}

// checkBack waits until PID 1 of the node has booted that many times, and until every web pod, those on that node
// included, reaches the Service again.
func (r running) checkBack(t *testing.T, node string, boots int, pods []corev1.Pod) {
	t.Helper()

	until(t, func(ctx context.Context) error {
		log, err := exec.CommandContext(ctx, "docker", "logs", node).CombinedOutput()
		if err != nil {
			return fmt.Errorf("reading the log of %s: %w", node, err)
		}

		if seen := bytes.Count(log, []byte("msg=booting")); seen < boots {
			return fmt.Errorf("%s has booted %d times, not %d", node, seen, boots)
		}

		return nil
	})

	for _, pod := range pods {
		until(t, func(ctx context.Context) error {
			body, err := r.exec(ctx, pod, "probe", "fetch", "http://web")

			return errors.Join(err, servedByOneOf(pods, body))
		})
	}
}
