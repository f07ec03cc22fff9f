package health

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/protobuf/types/known/emptypb"
)

// What a machine needs that is no container, in bytes. A container has the host's memory and disk, as in Talos it is not
// measured.
const (
	memoryControlPlane = 2<<30 - memoryOfKernel
	memoryWorker       = 1<<30 - memoryOfKernel
	// memoryOfKernel is what a machine's kernel keeps of its memory.
	memoryOfKernel = 150 << 20
	diskEphemeral  = 4 << 30
)

func apidReady(ctx context.Context, c *checked) error {
	return c.each(ctx, c.nodes, func(ctx context.Context, p peer) error {
		_, err := p.Version(ctx, &emptypb.Empty{})
		return err
	})
}

func kubeletHealthy(ctx context.Context, c *checked) error {
	return c.each(ctx, c.nodes, serviceHealthy("kubelet"))
}

// serviceHealthy wants a node to have that service, and it to work.
func serviceHealthy(id string) func(ctx context.Context, p peer) error {
	return func(ctx context.Context, p peer) error {
		answer, err := p.ServiceList(ctx, &emptypb.Empty{})
		if err != nil {
			return err
		}

		for _, message := range answer.GetMessages() {
			for _, service := range message.GetServices() {
				if service.GetId() == id {
					return works(service)
				}
			}
		}

		return fmt.Errorf("there is no service %q", id)
	}
}

func works(service *machine.ServiceInfo) error {
	health := service.GetHealth()

	switch {
	case service.GetState() != "Running":
		return fmt.Errorf("service %q is %s", service.GetId(), strings.ToLower(service.GetState()))
	case health.GetUnknown():
		return fmt.Errorf("the health of service %q is unknown", service.GetId())
	case !health.GetHealthy():
		return fmt.Errorf("service %q is not healthy: %s", service.GetId(), health.GetLastMessage())
	default:
		return nil
	}
}

func memorySizes(ctx context.Context, c *checked) error {
	return c.each(ctx, c.nodes, func(ctx context.Context, p peer) error {
		if container, err := isContainer(ctx, p); container || err != nil {
			return err
		}

		answer, err := p.Memory(ctx, &emptypb.Empty{})
		if err != nil {
			return err
		}

		least := uint64(memoryWorker)
		if p.node.ControlPlane {
			least = memoryControlPlane
		}

		for _, message := range answer.GetMessages() {
			if total := message.GetMeminfo().GetMemtotal() << 10; total < least {
				return fmt.Errorf("has %d MiB of memory and needs %d MiB", total>>20, least>>20)
			}
		}

		return nil
	})
}

func diskSizes(ctx context.Context, c *checked) error {
	return c.each(ctx, c.nodes, func(ctx context.Context, p peer) error {
		if container, err := isContainer(ctx, p); container || err != nil {
			return err
		}

		volume, err := safe.StateGetByID[*block.VolumeStatus](ctx, p.state, constants.EphemeralPartitionLabel)
		if err != nil {
			return fmt.Errorf("reading the size of %s: %w", constants.EphemeralPartitionLabel, err)
		}

		if size := volume.TypedSpec().Size; size < diskEphemeral {
			return fmt.Errorf("%s has %d MiB and needs %d MiB", constants.EphemeralPartitionLabel, size>>20, diskEphemeral>>20)
		}

		return nil
	})
}

func isContainer(ctx context.Context, p peer) (bool, error) {
	answer, err := p.Version(ctx, &emptypb.Empty{})
	if err != nil {
		return false, err
	}

	for _, message := range answer.GetMessages() {
		return message.GetPlatform().GetMode() == "container", nil
	}

	return false, errors.New("the node tells no version")
}

func noDiagnostics(ctx context.Context, c *checked) error {
	return c.each(ctx, c.nodes, func(ctx context.Context, p peer) error {
		diagnostics, err := safe.StateListAll[*runtime.Diagnostic](ctx, p.state)
		if err != nil {
			return err
		}

		var messages []string
		for diagnostic := range diagnostics.All() {
			messages = append(messages, diagnostic.TypedSpec().Message)
		}

		if len(messages) == 0 {
			return nil
		}

		return fmt.Errorf("active diagnostics: %s", strings.Join(messages, ", "))
	})
}

func booted(ctx context.Context, c *checked) error {
	return c.each(ctx, c.nodes, func(ctx context.Context, p peer) error {
		status, err := safe.StateGetByID[*runtime.MachineStatus](ctx, p.state, runtime.MachineStatusID)
		if err != nil {
			return err
		}

		if stage := status.TypedSpec().Stage; stage != runtime.MachineStageRunning {
			return fmt.Errorf("the machine is %s", stage)
		}

		return nil
	})
}

// staticPodsRun wants the node to know of its static pods; whether they are ready Kubernetes tells.
func staticPodsRun(ctx context.Context, c *checked) error {
	return c.each(ctx, c.controlPlanes(), func(ctx context.Context, p peer) error {
		pods, err := safe.StateListAll[*k8s.StaticPodStatus](ctx, p.state)
		if err != nil {
			return err
		}

		var missing []string

		for _, name := range components() {
			found := false
			for pod := range pods.All() {
				found = found || strings.HasPrefix(pod.Metadata().ID(), systemNamespace+"/"+name)
			}

			if !found {
				missing = append(missing, name)
			}
		}

		if len(missing) == 0 {
			return nil
		}

		return fmt.Errorf("there are no static pods of %s", strings.Join(missing, ", "))
	})
}

// systemNamespace is where the cluster keeps its own.
const systemNamespace = "kube-system"

// components are what a control plane consists of.
func components() []string {
	return []string{k8s.APIServerID, k8s.ControllerManagerID, k8s.SchedulerID}
}
