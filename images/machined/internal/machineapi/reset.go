package machineapi

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ResetOptions tell what a reset does.
type ResetOptions struct {
	// Graceful has a control plane leave etcd first.
	Graceful bool
	// Reboot starts the node over; else it ends.
	Reboot bool
	// State and Ephemeral are what is wiped: the machine config and the node's identity, and all else.
	State, Ephemeral bool
}

// Reset is part of machine.MachineServiceServer.
func (s *server) Reset(ctx context.Context, request *machine.ResetRequest) (*machine.ResetResponse, error) {
	options, err := resetOptions(request)
	if err != nil {
		return nil, err
	}

	ctx, actor := s.actor(ctx, "reset")
	if err := s.opts.Sequencer.Reset(ctx, options); err != nil {
		if status.Code(err) != codes.Unknown {
			return nil, asStatus("resetting", err)
		}

		return nil, status.Errorf(codes.FailedPrecondition, "resetting: %v", err)
	}

	return &machine.ResetResponse{Messages: []*machine.Reset{{ActorId: actor}}}, nil
}

// resetOptions reads a request as Talos does: no partitions named are all of them.
func resetOptions(request *machine.ResetRequest) (ResetOptions, error) {
	options := ResetOptions{Graceful: request.Graceful, Reboot: request.Reboot}

	if _, ok := machine.ResetRequest_WipeMode_name[int32(request.Mode)]; !ok {
		return options, status.Errorf(codes.InvalidArgument, "there is no wipe mode %d", request.Mode)
	}

	if request.Mode == machine.ResetRequest_USER_DISKS || len(request.UserDisksToWipe) > 0 {
		return options, status.Error(codes.FailedPrecondition, "a container has no disks of its own to wipe; reset its system partitions STATE and EPHEMERAL instead")
	}

	if len(request.SystemPartitionsToWipe) == 0 {
		options.State, options.Ephemeral = true, true
	}

	for _, partition := range request.SystemPartitionsToWipe {
		switch partition.GetLabel() {
		case constants.StatePartitionLabel:
			options.State = partition.Wipe
		case constants.EphemeralPartitionLabel:
			options.Ephemeral = partition.Wipe
		default:
			return options, status.Errorf(codes.InvalidArgument, "a container has no partition %q; there are %s and %s",
				partition.GetLabel(), constants.StatePartitionLabel, constants.EphemeralPartitionLabel)
		}
	}

	return options, nil
}
