package machineapi

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// chunkSize is how many bytes of a stream go into one message.
const chunkSize = 32 << 10

// Logs is part of machine.MachineServiceServer. As in Talos, 0 lines of tail are none, and fewer are all.
func (s *server) Logs(request *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	reader, err := s.logReader(stream.Context(), request)
	if err != nil {
		return err
	}

	defer reader.Close()

	return send(stream, reader)
}

func (s *server) logReader(ctx context.Context, request *machine.LogsRequest) (io.ReadCloser, error) {
	tail := int(request.TailLines)

	if request.Namespace == constants.K8sContainerdNamespace {
		return s.podLog(ctx, request.Id, request.Follow, tail)
	}

	log, ok := s.opts.Services.Log(request.Id)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "there is no log %q", request.Id)
	}

	return io.NopCloser(log.Reader(ctx, request.Follow, tail)), nil
}

// send streams all of reader.
func send(stream grpc.ServerStreamingServer[common.Data], reader io.Reader) error {
	buffer := make([]byte, chunkSize)

	for {
		n, err := reader.Read(buffer)
		if n > 0 {
			if err := stream.Send(&common.Data{Bytes: slices.Clone(buffer[:n])}); err != nil {
				return err
			}
		}

		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return status.Errorf(codes.Internal, "reading: %v", err)
		}
	}
}

// LogsContainers is part of machine.MachineServiceServer.
func (s *server) LogsContainers(context.Context, *emptypb.Empty) (*machine.LogsContainersResponse, error) {
	ids := s.opts.Services.Logs()

	return &machine.LogsContainersResponse{Messages: []*machine.LogsContainer{{Ids: ids}}}, nil
}
