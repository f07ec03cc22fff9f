//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/test/lab"
)

func serviceLines() []line {
	return []line{
		{name: "services", talosctl: []string{"services"}, do: services},
		{name: "one service", talosctl: []string{"service", "kubelet"}, do: kubeletService},
		{name: "restart a service", talosctl: []string{"service", "kubelet", "restart"}, do: restartKubelet},
		{name: "stop and start a service", do: stopAndStart},
		{name: "unknown service", talosctl: []string{"service", "missing", "restart"}, refused: true, do: unknownService},
		{name: "machined cannot be stopped", talosctl: []string{"service", "machined", "stop"}, refused: true, do: stopMachined},
		{name: "last lines of a log", talosctl: []string{"logs", "kubelet", "--tail", "3"}, do: lastLines},
		{name: "log that grows", do: growingLog},
		{name: "kubeconfig", on: onControlPlane, do: kubeconfig},
		{name: "talosconfig for a reader", on: onControlPlane, do: clientConfiguration},
	}
}

// until asks again until holds answers nil or ctx ends.
func until(ctx context.Context, holds func(context.Context) error) error {
	return lab.Until(ctx, holds)
}

func services(ctx context.Context, c *cluster, node string) error {
	answer, err := c.client.ServiceList(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	var running []string

	for _, service := range got.GetServices() {
		if service.GetState() == "Running" && (service.GetHealth().GetHealthy() || service.GetHealth().GetUnknown()) {
			running = append(running, service.GetId())
		}
	}

	wanted := []string{"apid", "containerd", "kubelet", "machined"}
	if slices.Contains(c.controlPlanes, node) {
		wanted = append(wanted, "etcd", "trustd")
	}

	for _, id := range wanted {
		if !slices.Contains(running, id) {
			return fmt.Errorf("%s is not among %v", id, running)
		}
	}

	return nil
}

// kubelet tells the service's state and how many times it has changed.
func kubelet(ctx context.Context, c *cluster) (client.ServiceInfo, error) {
	return one(c.client.ServiceInfo(ctx, "kubelet"))
}

func kubeletService(ctx context.Context, c *cluster, _ string) error {
	return kubeletHealthy(ctx, c)
}

func kubeletHealthy(ctx context.Context, c *cluster) error {
	return until(ctx, func(ctx context.Context) error {
		info, err := kubelet(ctx, c)

		return errors.Join(err, want(info.Service.GetState() == "Running" && info.Service.GetHealth().GetHealthy(), "the kubelet is %v", info.Service))
	})
}

func restartKubelet(ctx context.Context, c *cluster, _ string) error {
	if err := kubeletHealthy(ctx, c); err != nil {
		return err
	}

	answer, err := c.client.ServiceRestart(ctx, "kubelet")
	if _, err := one(answer.GetMessages(), err); err != nil {
		return err
	}

	return kubeletHealthy(ctx, c)
}

func stopAndStart(ctx context.Context, c *cluster, _ string) error {
	if _, err := c.client.ServiceStop(ctx, "kubelet"); err != nil {
		return err
	}

	info, err := kubelet(ctx, c)
	if err != nil || info.Service.GetState() == "Running" {
		return fmt.Errorf("the kubelet is %v (%w)", info.Service, err)
	}

	if _, err := c.client.ServiceStart(ctx, "kubelet"); err != nil {
		return err
	}

	return kubeletHealthy(ctx, c)
}

func unknownService(ctx context.Context, c *cluster, _ string) error {
	_, err := c.client.ServiceRestart(ctx, "missing")

	return want(client.StatusCode(err) == codes.NotFound || strings.Contains(fmt.Sprint(err), "missing"), "the error is %v", err)
}

func stopMachined(ctx context.Context, c *cluster, _ string) error {
	_, err := c.client.ServiceStop(ctx, "machined")

	return want(err != nil, "machined was stopped")
}

func lastLines(ctx context.Context, c *cluster, _ string) error {
	stream, err := c.client.Logs(ctx, constants.SystemContainerdNamespace, common.ContainerDriver_CONTAINERD, "kubelet", false, 3)
	if err != nil {
		return err
	}

	text, err := readStream(stream)

	return errors.Join(err, want(strings.Count(text, "\n") == 3, "the last three lines are %q", text))
}

// growingLog follows the kubelet's, and restarts the kubelet, which makes it say something.
func growingLog(ctx context.Context, c *cluster, _ string) error {
	stream, err := c.client.Logs(ctx, constants.SystemContainerdNamespace, common.ContainerDriver_CONTAINERD, "kubelet", true, 0)
	if err != nil {
		return err
	}

	if _, err := c.client.ServiceRestart(ctx, "kubelet"); err != nil {
		return err
	}

	for {
		data, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("following the log: %w", err)
		}

		if len(data.GetBytes()) > 0 {
			return kubeletHealthy(ctx, c)
		}
	}
}

func kubeconfig(ctx context.Context, c *cluster, _ string) error {
	text, err := c.client.Kubeconfig(ctx)

	return errors.Join(err, want(strings.Contains(string(text), "client-certificate-data"), "the kubeconfig is %q", text))
}

// clientConfiguration asks for a reader's talosconfig, which then may read and may not stop.
func clientConfiguration(ctx context.Context, c *cluster, node string) error {
	answer, err := c.client.GenerateClientConfiguration(ctx, &machine.GenerateClientConfigurationRequest{
		Roles: []string{string(role.Reader)}, CrtTtl: durationpb.New(time.Hour),
	})

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	config, err := clientconfig.FromBytes(got.GetTalosconfig())
	if err != nil {
		return err
	}

	// The node knows its own address, and not the one that leads to it from here.
	config.Contexts[config.Context].Endpoints = c.client.GetEndpoints()

	reader, err := client.New(ctx, client.WithConfig(config))
	if err != nil {
		return err
	}
	defer reader.Close()

	_, read := reader.Version(ctx)
	_, stopped := reader.ServiceStop(ctx, "kubelet")

	return errors.Join(read, want(client.StatusCode(stopped) == codes.PermissionDenied, "a reader stops the kubelet of %s with %v", node, stopped))
}
