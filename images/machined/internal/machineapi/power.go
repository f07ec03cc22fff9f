package machineapi

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Shutdown is part of machine.MachineServiceServer. To force it is to do the same: the node does not drain itself first.
func (s *server) Shutdown(ctx context.Context, _ *machine.ShutdownRequest) (*machine.ShutdownResponse, error) {
	ctx, actor := s.actor(ctx, "shutdown")
	if err := s.opts.Sequencer.Shutdown(ctx); err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "shutting down: %v", err)
	}

	return &machine.ShutdownResponse{Messages: []*machine.Shutdown{{ActorId: actor}}}, nil
}

// Reboot is part of machine.MachineServiceServer. The modes tell how a kernel starts over, and a container has none.
func (s *server) Reboot(ctx context.Context, request *machine.RebootRequest) (*machine.RebootResponse, error) {
	if _, ok := machine.RebootRequest_Mode_name[int32(request.Mode)]; !ok {
		return nil, status.Errorf(codes.InvalidArgument, "there is no reboot mode %d", request.Mode)
	}

	ctx, actor := s.actor(ctx, "reboot")
	if err := s.opts.Sequencer.Reboot(ctx); err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "rebooting: %v", err)
	}

	return &machine.RebootResponse{Messages: []*machine.Reboot{{ActorId: actor}}}, nil
}
