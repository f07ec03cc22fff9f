package apid

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/siderolabs/grpc-proxy/proxy"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/calls"
	"github.com/bronze-os/bronze/images/machined/internal/recovery"
)

// memoryBuffer is how many bytes the connection in memory holds in each direction.
const memoryBuffer = 64 << 10

// local is the node's own services behind a connection in memory. Nobody but apid can reach it, so it believes the
// roles in the metadata.
type local struct {
	server *grpc.Server
	conn   *grpc.ClientConn
	// streamed holds the methods, as /service/name, that answer with a stream.
	streamed map[string]bool
	served   chan struct{}
}

func startLocal(register func(grpc.ServiceRegistrar), guard authz.Guard, gate calls.Gate, log *slog.Logger) (*local, error) {
	listener := bufconn.Listen(memoryBuffer)

	conn, err := grpc.NewClient("passthrough:///local",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(constants.GRPCMaxMessageSize), grpc.ForceCodecV2(proxy.Codec())))
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the node's own services: %w", err)
	}

	server := grpc.NewServer(append(recovery.Options(log),
		grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize),
		grpc.ChainUnaryInterceptor(guard.Unary, gate.Unary),
		grpc.ChainStreamInterceptor(guard.Stream, gate.Stream))...)
	register(server)

	l := &local{server: server, conn: conn, streamed: streamedMethods(server), served: make(chan struct{})}

	go func() {
		defer close(l.served)
		_ = server.Serve(listener)
	}()

	return l, nil
}

func (l *local) stop() {
	l.conn.Close()
	l.server.Stop()
	<-l.served
}

// streams tells whether a method answers with a stream. Other nodes serve the same API, so that this holds for them.
func (l *local) streams(method string) bool {
	return l.streamed[method]
}

func streamedMethods(server *grpc.Server) map[string]bool {
	streamed := map[string]bool{}

	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			streamed["/"+service+"/"+method.Name] = method.IsServerStream
		}
	}

	return streamed
}
