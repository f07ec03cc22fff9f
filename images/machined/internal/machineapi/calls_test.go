package machineapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/images/machined/internal/calls"
	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/containers"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/health"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// idle is a machine that does nothing.
type idle struct{}

func (idle) Bootstrap(context.Context, machineapi.BootstrapOptions) error { return nil }
func (idle) Shutdown(context.Context) error                               { return nil }
func (idle) Reboot(context.Context) error                                 { return nil }
func (idle) Reset(context.Context, machineapi.ResetOptions) error         { return nil }

// serve runs the calls of a node without containerd, and connects to them.
func serve(t *testing.T, worker bool) (*grpc.Server, *grpc.ClientConn) {
	t.Helper()

	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	runtime, err := containers.Dial(filepath.Join(t.TempDir(), "none.sock"))
	if err != nil {
		t.Fatal(err)
	}

	cfg, err := container.New(&v1alpha1.Config{
		MachineConfig: &v1alpha1.MachineConfig{MachineType: "worker"}, ClusterConfig: &v1alpha1.ClusterConfig{},
	})
	if err != nil {
		t.Fatal(err)
	}

	gate := calls.Gate{Worker: worker}
	server := grpc.NewServer(grpc.UnaryInterceptor(gate.Unary), grpc.StreamInterceptor(gate.Stream))

	machineapi.Register(server, machineapi.Options{
		Services: service.New(t.Context()), Events: events.New(), Sequencer: idle{}, Log: slog.New(slog.DiscardHandler),
		Config: func() config.Provider { return cfg }, State: st, Containers: runtime, PodLogs: t.TempDir(),
		Configure: func(context.Context, apply.Request) (apply.Plan, error) { return apply.Plan{}, nil },
	})

	resources.Register(server, st, nil)
	health.Register(server, health.Options{Nodes: func(context.Context) ([]health.Node, error) { return nil, io.ErrUnexpectedEOF }})

	listener := bufconn.Listen(64 << 10)
	served := make(chan error, 1)

	go func() { served <- server.Serve(listener) }()

	conn, err := grpc.NewClient("passthrough:///node",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		conn.Close()
		runtime.Close()
		server.Stop()

		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	return server, conn
}

// call makes a call with an empty request, and answers with what it ended, or nil as soon as it answers anything.
func call(t *testing.T, conn *grpc.ClientConn, method string) error {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()

	// A stream in both directions can carry calls of all kinds.
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}

	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}

	if err := stream.CloseSend(); err != nil {
		return err
	}

	return stream.RecvMsg(&emptypb.Empty{})
}

func TestEachCallDoesWhatTheListSays(t *testing.T) {
	for _, node := range []struct {
		name   string
		worker bool
	}{{"control plane", false}, {"worker", true}} {
		t.Run(node.name, func(t *testing.T) {
			server, conn := serve(t, node.worker)

			for _, one := range calls.All() {
				if _, ok := server.GetServiceInfo()[one.Service]; !ok {
					t.Errorf("nobody serves %s", one.Service)
				}

				t.Run(one.Method(), func(t *testing.T) { check(t, conn, one, node.worker) })
			}
		})
	}
}

func check(t *testing.T, conn *grpc.ClientConn, one calls.Call, worker bool) {
	t.Helper()

	err := call(t, conn, one.Method())
	code := status.Code(err)

	switch {
	case one.State == calls.Refused:
		if code != codes.FailedPrecondition || !strings.Contains(err.Error(), one.Note) {
			t.Errorf("refused with %v", err)
		}
	case one.State == calls.ControlPlane && worker:
		if code != codes.FailedPrecondition {
			t.Errorf("a worker answers %v", err)
		}
	case one.State == calls.Denied:
		if code != codes.PermissionDenied {
			t.Errorf("denied with %v", err)
		}
	case code == codes.Unimplemented:
		t.Errorf("it is not there: %v", err)
	}
}
