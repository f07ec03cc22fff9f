//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bronze-os/bronze/test/lab"
)

func endingLines() []line {
	return []line{
		{name: "reboot", on: onWorker, do: reboot},
		{name: "shutdown", on: onWorker, do: shutdown},
		{name: "reset", on: onWorker, do: reset},
	}
}

func reboot(ctx context.Context, c *cluster, node string) error {
	before, err := bootID(ctx, c)
	if err != nil {
		return err
	}

	if err := c.client.Reboot(ctx); err != nil {
		return err
	}

	return until(ctx, func(ctx context.Context) error {
		now, err := bootID(ctx, c)
		if err != nil {
			return err
		}

		return errors.Join(want(now != before, "the node has not rebooted"), ready(ctx, c, node))
	})
}

// bootID differs after every boot: it is a container of kube-proxy, which no boot survives.
func bootID(ctx context.Context, c *cluster) (string, error) {
	found, err := container(ctx, c)
	if err != nil {
		return "", err
	}

	return fmt.Sprintf("%s %d", found.GetId(), found.GetPid()), nil
}

func ready(ctx context.Context, c *cluster, node string) error {
	found, err := c.kubernetes.CoreV1().Nodes().Get(ctx, c.names[node], metav1.GetOptions{})
	if err != nil {
		return err
	}

	for _, condition := range found.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return want(condition.Status == corev1.ConditionTrue, "the node is not ready: %s", condition.Message)
		}
	}

	return errors.New("the node does not say whether it is ready")
}

func shutdown(ctx context.Context, c *cluster, node string) error {
	if err := c.client.Shutdown(ctx); err != nil {
		return err
	}

	if err := c.stopped(ctx, node); err != nil {
		return err
	}

	if _, err := lab.Docker(ctx, "start", c.names[node]); err != nil {
		return err
	}

	return c.back(ctx, node)
}

func (c *cluster) stopped(ctx context.Context, node string) error {
	return until(ctx, func(ctx context.Context) error {
		words, err := lab.Docker(ctx, "inspect", "--format", "{{.State.Status}}", c.names[node])

		return errors.Join(err, want(len(words) == 1 && words[0] == "exited", "the container is %v", words))
	})
}

// back waits until the node's services are healthy and Kubernetes has it again.
func (c *cluster) back(ctx context.Context, node string) error {
	return until(ctx, func(ctx context.Context) error {
		return errors.Join(services(client.WithNode(ctx, node), c, node), ready(ctx, c, node))
	})
}

// reset wipes what the node remembers: it comes back as another, with another identity, from the config that the engine
// gives it.
func reset(ctx context.Context, c *cluster, node string) error {
	before, err := identity(ctx, c)
	if err != nil {
		return err
	}

	if err := c.client.ResetGeneric(ctx, &machine.ResetRequest{
		Graceful: true, Reboot: true, Mode: machine.ResetRequest_SYSTEM_DISK,
	}); err != nil {
		return err
	}

	return until(ctx, func(ctx context.Context) error {
		now, err := identity(client.WithNode(ctx, node), c)
		if err != nil {
			return err
		}

		return errors.Join(want(now != before, "the node still is %s", now), c.back(ctx, node))
	})
}
