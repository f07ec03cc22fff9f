package calls

import (
	"context"

	"google.golang.org/grpc"
)

// Gate answers the calls that a node cannot do, so that no service need know them.
type Gate struct {
	// Worker is true on a node that is no control plane.
	Worker bool
}

// Unary is a grpc.UnaryServerInterceptor.
func (g Gate) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.check(info.FullMethod); err != nil {
		return nil, err
	}

	return handle(ctx, request)
}

// Stream is a grpc.StreamServerInterceptor.
func (g Gate) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.check(info.FullMethod); err != nil {
		return err
	}

	return handle(server, stream)
}

func (g Gate) check(method string) error {
	call, _ := Find(method)

	return call.Refusal(g.Worker)
}
