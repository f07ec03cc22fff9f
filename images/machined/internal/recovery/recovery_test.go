package recovery_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/bronze-os/bronze/images/machined/internal/recovery"
)

// faulty panics in both of its calls.
type faulty struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (faulty) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	panic("checking")
}

func (faulty) Watch(*grpc_health_v1.HealthCheckRequest, grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	panic("watching")
}

func TestACallThatPanicsIsAnErrorAndTheServerGoesOn(t *testing.T) {
	var log bytes.Buffer

	server := grpc.NewServer(recovery.Options(slog.New(slog.NewTextHandler(&log, nil)))...)
	grpc_health_v1.RegisterHealthServer(server, faulty{})

	listener := bufconn.Listen(1 << 10)
	served := make(chan error, 1)

	go func() { served <- server.Serve(listener) }()

	conn, err := grpc.NewClient("passthrough:///faulty", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}

	client := grpc_health_v1.NewHealthClient(conn)

	for range 2 {
		_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "checking") {
			t.Errorf("the call ended with %v", err)
		}

		stream, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}

		if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "watching") {
			t.Errorf("the stream ended with %v", err)
		}
	}

	conn.Close()
	server.Stop()

	if err := <-served; err != nil {
		t.Error(err)
	}

	if got := strings.Count(log.String(), "recovery_test.go"); got < 4 {
		t.Errorf("the log shows %d places in this file:\n%s", got, log.String())
	}
}
