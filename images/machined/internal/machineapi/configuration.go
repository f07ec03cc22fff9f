package machineapi

import (
	"context"
	"errors"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
)

// ApplyConfiguration is part of machine.MachineServiceServer.
func (s *server) ApplyConfiguration(
	ctx context.Context, request *machine.ApplyConfigurationRequest,
) (*machine.ApplyConfigurationResponse, error) {
	if limit := request.TryModeTimeout; limit != nil {
		if err := limit.CheckValid(); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "cannot read the time-out of the try mode: %v", err)
		}
	}

	plan, err := s.opts.Configure(ctx, apply.Request{
		Document: request.Data, Mode: request.Mode, Limit: request.TryModeTimeout.AsDuration(), DryRun: request.DryRun,
	})
	if err != nil {
		return nil, configurationError(err)
	}

	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{{
		Mode: plan.Mode, ModeDetails: plan.Details(request.DryRun), Warnings: plan.Warnings,
	}}}, nil
}

func configurationError(err error) error {
	code := codes.Internal

	if _, ok := errors.AsType[*apply.InvalidError](err); ok {
		code = codes.InvalidArgument
	} else if _, ok := errors.AsType[*apply.RebootNeededError](err); ok {
		code = codes.FailedPrecondition
	} else if _, ok := errors.AsType[*apply.MaintenanceError](err); ok {
		code = codes.FailedPrecondition
	}

	return status.Errorf(code, "applying the machine config: %v", err)
}
