package machineapi

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/containers"
)

// Containers is part of machine.MachineServiceServer.
func (s *server) Containers(ctx context.Context, request *machine.ContainersRequest) (*machine.ContainersResponse, error) {
	if err := checkNamespace(request.Namespace); err != nil {
		return nil, err
	}

	all, err := s.opts.Containers.List(ctx, request.Namespace)
	if err != nil {
		return nil, containerdError("listing containers", err)
	}

	list := &machine.Container{}
	for _, one := range all {
		list.Containers = append(list.Containers, containerInfo(one, request.Driver))
	}

	return &machine.ContainersResponse{Messages: []*machine.Container{list}}, nil
}

// Stats is part of machine.MachineServiceServer.
func (s *server) Stats(ctx context.Context, request *machine.StatsRequest) (*machine.StatsResponse, error) {
	if err := checkNamespace(request.Namespace); err != nil {
		return nil, err
	}

	usages, err := s.opts.Containers.Usages(ctx, request.Namespace)
	if err != nil {
		return nil, containerdError("measuring containers", err)
	}

	stats := &machine.Stats{}
	for _, usage := range usages {
		stats.Stats = append(stats.Stats, &machine.Stat{
			Namespace:   usage.Namespace,
			Id:          usage.Display(),
			MemoryUsage: usage.Memory,
			CpuUsage:    uint64(usage.CPU.Nanoseconds()),
			PodId:       podID(usage.Container),
			Name:        containerName(usage.Container),
		})
	}

	return &machine.StatsResponse{Messages: []*machine.Stats{stats}}, nil
}

// Restart is part of machine.MachineServiceServer.
func (s *server) Restart(ctx context.Context, request *machine.RestartRequest) (*machine.RestartResponse, error) {
	if err := checkNamespace(request.Namespace); err != nil {
		return nil, err
	}

	if err := s.opts.Containers.Terminate(ctx, request.Namespace, request.Id); err != nil {
		return nil, containerdError("restarting "+request.Id, err)
	}

	return &machine.RestartResponse{Messages: []*machine.Restart{{}}}, nil
}

func checkNamespace(namespace string) error {
	switch namespace {
	case constants.SystemContainerdNamespace, constants.K8sContainerdNamespace:
		return nil
	default:
		return status.Errorf(codes.InvalidArgument, "there is no namespace %q of containers: it is %s or %s",
			namespace, constants.SystemContainerdNamespace, constants.K8sContainerdNamespace)
	}
}

func containerInfo(one containers.Container, driver common.ContainerDriver) *machine.ContainerInfo {
	return &machine.ContainerInfo{
		Namespace:        one.Namespace,
		Id:               one.Display(),
		Uid:              one.Pod.UID,
		InternalId:       one.ID,
		Image:            one.Image,
		Pid:              one.Pid,
		Status:           containerStatus(one, driver),
		PodId:            podID(one),
		Name:             containerName(one),
		NetworkNamespace: one.NetworkNamespace,
	}
}

// podID groups the containers of a pod below it; other containers stand for themselves.
func podID(one containers.Container) string {
	if one.Pod.Name == "" {
		return one.ID
	}

	return one.Pod.Namespace + "/" + one.Pod.Name
}

func containerName(one containers.Container) string {
	switch {
	case one.Pod.Name == "":
		return one.ID
	case one.Sandbox:
		return one.Pod.Name
	default:
		return one.Name
	}
}

// containerStatus is the state in the words of the driver that was asked for.
func containerStatus(one containers.Container, driver common.ContainerDriver) string {
	running := one.State == "RUNNING"

	switch {
	case driver != common.ContainerDriver_CRI:
		return one.State
	case one.Sandbox && running:
		return "SANDBOX_READY"
	case one.Sandbox:
		return "SANDBOX_NOTREADY"
	case one.State == "STOPPED":
		return "CONTAINER_EXITED"
	default:
		return "CONTAINER_" + one.State
	}
}

// containerdError keeps the code that containerd chose.
func containerdError(act string, err error) error {
	return status.Errorf(status.Code(err), "%s: %s", act, status.Convert(err).Message())
}
