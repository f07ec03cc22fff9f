package operate

import (
	"context"
	"errors"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Line is a line that a node logged, without its end.
type Line struct {
	Node, Text string
}

// LogQuery says which log is meant.
type LogQuery struct {
	// ID is a service, or a container of Kubernetes as Containers lists it.
	ID string
	// Kubernetes looks among the containers of Kubernetes.
	Kubernetes bool
	// Follow goes on as lines are logged, until the context ends.
	Follow bool
	// Tail is how many of the last lines to begin with; negative is all.
	Tail int32
}

// Logs hands on the lines of a log, of all nodes as they come.
func (f *Fleet) Logs(ctx context.Context, query LogQuery, hear func(Line) error) error {
	namespace, driver := containerdNamespace(query.Kubernetes)
	return hearLines(ctx, f, machine.MachineServiceClient.Logs, &machine.LogsRequest{
		Namespace: namespace, Driver: driver, Id: query.ID, Follow: query.Follow, TailLines: query.Tail,
	}, hear)
}

// LogIDs lists what has a log, as Logs takes it.
func (f *Fleet) LogIDs(ctx context.Context) ([]Answer[*machine.LogsContainer], error) {
	return ask(ctx, f, machine.MachineServiceClient.LogsContainers, &emptypb.Empty{})
}

// containerdNamespace is where containers are looked for: Kubernetes's, or those of the node's own services.
func containerdNamespace(kubernetes bool) (string, common.ContainerDriver) {
	if kubernetes {
		return constants.K8sContainerdNamespace, common.ContainerDriver_CRI
	}
	return constants.SystemContainerdNamespace, common.ContainerDriver_CONTAINERD
}

// Dmesg hands on the kernel's log. Tail, which makes sense with follow, leaves out what was logged before.
func (f *Fleet) Dmesg(ctx context.Context, follow, tail bool, hear func(Line) error) error {
	request := &machine.DmesgRequest{Follow: follow, Tail: tail}
	return hearLines(ctx, f, machine.MachineServiceClient.Dmesg, request, hear)
}

// hearLines cuts each node's stream into lines.
func hearLines[Q any](
	ctx context.Context, f *Fleet, call server[Q, common.Data], request Q, hear func(Line) error,
) error {
	cut := map[string]*lines{}
	for _, n := range f.nodes {
		cut[n.name] = &lines{hear: func(text string) error { return hear(Line{Node: n.name, Text: text}) }}
	}
	err := receive(ctx, f, call, request, func(node string, data *common.Data) error {
		_, err := cut[node].Write(data.GetBytes())
		return err
	})
	errs := []error{err}
	for _, n := range f.nodes {
		errs = append(errs, cut[n.name].flush())
	}
	return errors.Join(errs...)
}
