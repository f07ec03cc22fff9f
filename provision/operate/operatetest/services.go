package operatetest

import (
	"context"
	"time"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state/protobuf/server"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// stateServer answers from the state of whichever node a call is for.
type stateServer struct {
	v1alpha1.UnimplementedStateServer
	nodes router
}

func (s *stateServer) of(ctx context.Context) (*server.State, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return server.NewState(n.state), nil
}

func (s *stateServer) Get(ctx context.Context, request *v1alpha1.GetRequest) (*v1alpha1.GetResponse, error) {
	st, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	return st.Get(ctx, request)
}

func (s *stateServer) List(request *v1alpha1.ListRequest, stream grpc.ServerStreamingServer[v1alpha1.ListResponse]) error {
	st, err := s.of(stream.Context())
	if err != nil {
		return err
	}
	return st.List(request, stream)
}

func (s *stateServer) Watch(request *v1alpha1.WatchRequest, stream grpc.ServerStreamingServer[v1alpha1.WatchResponse]) error {
	st, err := s.of(stream.Context())
	if err != nil {
		return err
	}
	return st.Watch(request, stream)
}

type timeServer struct {
	timeapi.UnimplementedTimeServiceServer
	nodes router
}

func (s *timeServer) Time(ctx context.Context, _ *emptypb.Empty) (*timeapi.TimeResponse, error) {
	return s.TimeCheck(ctx, &timeapi.TimeRequest{Server: "time.example.com"})
}

func (s *timeServer) TimeCheck(ctx context.Context, request *timeapi.TimeRequest) (*timeapi.TimeResponse, error) {
	if _, err := s.nodes.route(ctx); err != nil {
		return nil, err
	}
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return &timeapi.TimeResponse{Messages: []*timeapi.Time{{Server: request.GetServer(), Localtime: at, Remotetime: at}}}, nil
}

type clusterServer struct {
	clusterapi.UnimplementedClusterServiceServer
	nodes router
}

func (s *clusterServer) HealthCheck(_ *clusterapi.HealthCheckRequest, stream grpc.ServerStreamingServer[clusterapi.HealthCheckProgress]) error {
	if _, err := s.nodes.route(stream.Context()); err != nil {
		return err
	}
	for _, text := range []string{"waiting for etcd to be healthy: ...", "waiting for etcd to be healthy: OK"} {
		if err := stream.Send(&clusterapi.HealthCheckProgress{Message: text}); err != nil {
			return err
		}
	}
	return nil
}
