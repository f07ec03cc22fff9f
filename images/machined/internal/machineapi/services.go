package machineapi

import (
	"context"
	"errors"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/wire"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// ServiceList is part of machine.MachineServiceServer.
func (s *server) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	list := &machine.ServiceList{}
	for _, status := range s.opts.Services.List() {
		list.Services = append(list.Services, wire.ServiceInfo(status))
	}

	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{list}}, nil
}

// ServiceStart is part of machine.MachineServiceServer.
func (s *server) ServiceStart(_ context.Context, request *machine.ServiceStartRequest) (*machine.ServiceStartResponse, error) {
	if err := s.opts.Services.Start(request.Id); err != nil {
		return nil, serviceError("starting", request.Id, err)
	}

	return &machine.ServiceStartResponse{Messages: []*machine.ServiceStart{{Resp: "started " + request.Id}}}, nil
}

// ServiceStop is part of machine.MachineServiceServer.
func (s *server) ServiceStop(ctx context.Context, request *machine.ServiceStopRequest) (*machine.ServiceStopResponse, error) {
	if err := mayStop(request.Id); err != nil {
		return nil, err
	}

	if err := s.opts.Services.Stop(ctx, request.Id); err != nil {
		return nil, serviceError("stopping", request.Id, err)
	}

	return &machine.ServiceStopResponse{Messages: []*machine.ServiceStop{{Resp: "stopped " + request.Id}}}, nil
}

// ServiceRestart is part of machine.MachineServiceServer.
func (s *server) ServiceRestart(ctx context.Context, request *machine.ServiceRestartRequest) (*machine.ServiceRestartResponse, error) {
	if err := mayStop(request.Id); err != nil {
		return nil, err
	}

	if err := s.opts.Services.Restart(ctx, request.Id); err != nil {
		return nil, serviceError("restarting", request.Id, err)
	}

	return &machine.ServiceRestartResponse{Messages: []*machine.ServiceRestart{{Resp: "restarted " + request.Id}}}, nil
}

// mayStop refuses to stop what carries the call, or what a node is none without: nobody could start it again.
func mayStop(id string) error {
	switch id {
	case "apid", "machined", "machine-config", "machine-pki":
		return status.Errorf(codes.FailedPrecondition, "%s cannot be stopped while the node runs: `talosctl reboot` starts all anew", id)
	default:
		return nil
	}
}

func serviceError(act, id string, err error) error {
	code := codes.Internal
	if errors.Is(err, service.ErrUnknown) {
		code = codes.NotFound
	}

	return status.Errorf(code, "%s %s: %v", act, id, err)
}
