package machineapi

import (
	"errors"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/capture"
)

// PacketCapture is part of machine.MachineServiceServer. It goes on until the caller ends it.
func (s *server) PacketCapture(request *machine.PacketCaptureRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	err := capture.Run(stream.Context(), capture.Options{
		Interface:   request.Interface,
		Promiscuous: request.Promiscuous,
		SnapLength:  int(request.SnapLen),
		Filter:      filterOf(request.BpfFilter),
	}, dataWriter{stream: stream})

	var code codes.Code

	switch _, coded := status.FromError(err); {
	case err == nil || coded:
		return err
	case errors.Is(err, capture.ErrNoInterface):
		code = codes.NotFound
	case errors.Is(err, capture.ErrBadFilter):
		code = codes.InvalidArgument
	default:
		code = codes.Internal
	}

	return status.Errorf(code, "capturing packets: %v", err)
}

func filterOf(instructions []*machine.BPFInstruction) []unix.SockFilter {
	filter := make([]unix.SockFilter, len(instructions))
	for i, one := range instructions {
		filter[i] = unix.SockFilter{Code: uint16(one.GetOp()), Jt: uint8(one.GetJt()), Jf: uint8(one.GetJf()), K: one.GetK()}
	}

	return filter
}
