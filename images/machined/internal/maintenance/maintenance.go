// Package maintenance serves the machine API of a node that has no machine config, and so no CA by which it could know
// anybody: whoever reaches it may read what is not secret, and give it a config. Which calls these are is in the list of
// package calls. It may import apid's server and roles, and does not know what the calls do.
package maintenance

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/apid"
	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/calls"
	"github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/recovery"
)

// Strangers may call: these bound what they can make the node hold.
const (
	// messageSize is the largest request in bytes: a machine config and what is around it.
	messageSize = config.MaxSize + 64<<10
	// streams is how many calls of one connection run at a time.
	streams = 32
	// handshakeLimit is how long a connection may take to become one.
	handshakeLimit = 10 * time.Second
)

// Options tell what is served.
type Options struct {
	// Host is the address to listen on; empty means all.
	Host string
	// Port is 0 for the machine API's usual one.
	Port int
	// Certificate is the node's own.
	Certificate tls.Certificate
	// Register adds the node's services. Each finds by authz.Roles that its caller may read.
	Register func(grpc.ServiceRegistrar)
	Log      *slog.Logger
}

// Run serves until ctx ends; a call under way has a moment to get its answer then. Calls are not sent on to other
// nodes, whatever they name: this one is in no cluster.
func Run(ctx context.Context, opts Options) error {
	if opts.Port == 0 {
		opts.Port = boot.MachineAPIPort
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}

	server := grpc.NewServer(append(recovery.Options(opts.Log),
		grpc.Creds(credentials.NewTLS(&tls.Config{
			MinVersion:   tls.VersionTLS13,
			NextProtos:   []string{"h2"},
			Certificates: []tls.Certificate{opts.Certificate},
		})),
		grpc.MaxRecvMsgSize(messageSize),
		grpc.MaxConcurrentStreams(streams),
		grpc.ConnectionTimeout(handshakeLimit),
		grpc.UnaryInterceptor(unary),
		grpc.StreamInterceptor(stream))...)
	opts.Register(server)

	return apid.Serve(ctx, server, listener)
}

// allow answers nil for what the node lets strangers do.
func allow(method string) error {
	if call, _ := calls.Find(method); call.Maintenance {
		return nil
	}

	return status.Errorf(codes.PermissionDenied, "cannot call %s of a node in maintenance mode: apply a machine config first", method)
}

// strangers are the roles of everybody.
func strangers() role.Set { return role.MakeSet(role.Reader) }

func unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := allow(info.FullMethod); err != nil {
		return nil, err
	}

	return handle(authz.WithRoles(ctx, strangers()), request)
}

func stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := allow(info.FullMethod); err != nil {
		return err
	}

	return handle(server, authz.WithStreamRoles(stream, strangers()))
}
