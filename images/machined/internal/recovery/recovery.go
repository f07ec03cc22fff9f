// Package recovery keeps a fault in one call of a gRPC server from ending the process, which is PID 1: the caller gets an
// error, the log the stack, and every other call goes on. It imports gRPC only.
package recovery

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Options make a server survive panics of its handlers; they answer codes.Internal.
func Options(log *slog.Logger) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
			defer func() { rescue(ctx, log, info.FullMethod, recover(), &err) }()

			return handle(ctx, request)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
			defer func() { rescue(stream.Context(), log, info.FullMethod, recover(), &err) }()

			return handle(server, stream)
		}),
	}
}

func rescue(ctx context.Context, log *slog.Logger, method string, cause any, err *error) {
	if cause == nil {
		return
	}

	log.ErrorContext(ctx, "a call panicked", "method", method, "cause", cause, "stack", string(debug.Stack()))

	*err = status.Errorf(codes.Internal, "%s failed by a fault of machined, which its log tells of: %v", method, cause)
}
