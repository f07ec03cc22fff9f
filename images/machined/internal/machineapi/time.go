package machineapi

import (
	"context"
	"time"

	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/ntp"
)

// timeLimit is how long a time server has to answer.
const timeLimit = 5 * time.Second

// clock is the node's, which is the host's: it is compared and never set.
type clock struct {
	timeapi.UnimplementedTimeServiceServer
	*server
}

// Time is part of time.TimeServiceServer. It asks the first server of the machine config.
func (c clock) Time(ctx context.Context, _ *emptypb.Empty) (*timeapi.TimeResponse, error) {
	server := constants.DefaultNTPServer
	if sync := c.opts.Config().NetworkTimeSyncConfig(); sync != nil && len(sync.Servers()) > 0 {
		server = sync.Servers()[0]
	}

	return compare(ctx, server)
}

// TimeCheck is part of time.TimeServiceServer.
func (c clock) TimeCheck(ctx context.Context, request *timeapi.TimeRequest) (*timeapi.TimeResponse, error) {
	if request.Server == "" {
		return nil, status.Error(codes.InvalidArgument, "no time server is named")
	}

	return compare(ctx, request.Server)
}

func compare(ctx context.Context, server string) (*timeapi.TimeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()

	offset, err := ntp.Offset(ctx, server)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "asking %s for the time: %v", server, err)
	}

	now := time.Now()

	return &timeapi.TimeResponse{Messages: []*timeapi.Time{{
		Server: server, Localtime: timestamppb.New(now), Remotetime: timestamppb.New(now.Add(offset)),
	}}}, nil
}
