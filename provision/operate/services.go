package operate

import (
	"context"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/provision"
)

// Services tells of every service of each node.
func (f *Fleet) Services(ctx context.Context) ([]Answer[*machine.ServiceList], error) {
	return ask(ctx, f, machine.MachineServiceClient.ServiceList, &emptypb.Empty{})
}

// Service is one service of a node.
type Service = Answer[*machine.ServiceInfo]

// Service tells of the service that has that ID. A node without it is an error that names it.
func (f *Fleet) Service(ctx context.Context, id string) ([]Service, error) {
	lists, err := f.Services(ctx)
	if err != nil {
		return nil, err
	}
	found := []Service{}
	for _, list := range lists {
		there := false
		for _, info := range list.Message.GetServices() {
			if info.GetId() == id {
				there = true
				found = append(found, Service{Node: list.Node, Message: info})
			}
		}
		if !there {
			err := fmt.Errorf("node %s: cannot find service %q", list.Node, id)
			return found, provision.WithHint(err, "bronze services lists those that are there")
		}
	}
	return found, nil
}

// StartService starts a service. The answer is the node's own words.
func (f *Fleet) StartService(ctx context.Context, id string) ([]Answer[*machine.ServiceStart], error) {
	return ask(ctx, f, machine.MachineServiceClient.ServiceStart, &machine.ServiceStartRequest{Id: id})
}

// StopService stops a service.
func (f *Fleet) StopService(ctx context.Context, id string) ([]Answer[*machine.ServiceStop], error) {
	return ask(ctx, f, machine.MachineServiceClient.ServiceStop, &machine.ServiceStopRequest{Id: id})
}

// RestartService stops a service and starts it again.
func (f *Fleet) RestartService(ctx context.Context, id string) ([]Answer[*machine.ServiceRestart], error) {
	return ask(ctx, f, machine.MachineServiceClient.ServiceRestart, &machine.ServiceRestartRequest{Id: id})
}
