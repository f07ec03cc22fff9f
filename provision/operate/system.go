package operate

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Versions tells what each node runs.
func (f *Fleet) Versions(ctx context.Context) ([]Answer[*machine.Version], error) {
	return ask(ctx, f, machine.MachineServiceClient.Version, &emptypb.Empty{})
}

// Containers lists the containers of each node: those of its own services, or Kubernetes's.
func (f *Fleet) Containers(ctx context.Context, kubernetes bool) ([]Answer[*machine.Container], error) {
	namespace, driver := containerdNamespace(kubernetes)
	return ask(ctx, f, machine.MachineServiceClient.Containers, &machine.ContainersRequest{Namespace: namespace, Driver: driver})
}

// RestartContainer stops a container, which whoever runs it then starts again.
func (f *Fleet) RestartContainer(ctx context.Context, id string, kubernetes bool) error {
	namespace, driver := containerdNamespace(kubernetes)
	_, err := ask(ctx, f, machine.MachineServiceClient.Restart, &machine.RestartRequest{Id: id, Namespace: namespace, Driver: driver})
	return err
}

// Stats tells what memory (bytes) and processor time (nanoseconds) each container used.
func (f *Fleet) Stats(ctx context.Context, kubernetes bool) ([]Answer[*machine.Stats], error) {
	namespace, driver := containerdNamespace(kubernetes)
	return ask(ctx, f, machine.MachineServiceClient.Stats, &machine.StatsRequest{Namespace: namespace, Driver: driver})
}

// Processes lists what runs on each node.
func (f *Fleet) Processes(ctx context.Context) ([]Answer[*machine.Process], error) {
	return ask(ctx, f, machine.MachineServiceClient.Processes, &emptypb.Empty{})
}

// Memory is each node's memory, in KiB as the kernel tells it.
func (f *Fleet) Memory(ctx context.Context) ([]Answer[*machine.Memory], error) {
	return ask(ctx, f, machine.MachineServiceClient.Memory, &emptypb.Empty{})
}

// Mounts lists each node's mounts with their sizes in bytes.
func (f *Fleet) Mounts(ctx context.Context) ([]Answer[*machine.Mounts], error) {
	return ask(ctx, f, machine.MachineServiceClient.Mounts, &emptypb.Empty{})
}

// Netstat lists each node's sockets.
func (f *Fleet) Netstat(ctx context.Context, request *machine.NetstatRequest) ([]Answer[*machine.Netstat], error) {
	return ask(ctx, f, machine.MachineServiceClient.Netstat, request)
}

// Disks lists each node's disks.
func (f *Fleet) Disks(ctx context.Context) ([]Answer[*storage.Disks], error) {
	return askEach(ctx, f, func(ctx context.Context, n node) (*storage.DisksResponse, error) {
		return n.client.StorageClient.Disks(ctx, &emptypb.Empty{})
	})
}

// Times tells each node's clock, beside that of an NTP server: the named one, or the node's own where server is empty.
func (f *Fleet) Times(ctx context.Context, server string) ([]Answer[*timeapi.Time], error) {
	return askEach(ctx, f, func(ctx context.Context, n node) (*timeapi.TimeResponse, error) {
		if server == "" {
			return n.client.TimeClient.Time(ctx, &emptypb.Empty{})
		}
		return n.client.TimeClient.TimeCheck(ctx, &timeapi.TimeRequest{Server: server})
	})
}
