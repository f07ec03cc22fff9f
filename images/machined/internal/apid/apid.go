// Package apid serves the machine API on the node's address over mutual TLS. It knows no method: calls go on as bytes,
// to the services of this node over a connection in memory, or to the apid of the nodes that the caller named. It may
// not import the rooms that implement the services.
package apid

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/siderolabs/grpc-proxy/proxy"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/calls"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
)

// stopLimit is how long calls under way may take to end when apid stops. Watches never end by themselves, so that a
// longer one only delays the node's shutdown.
const stopLimit = 500 * time.Millisecond

// What one connection may ask for: the bytes of a call's metadata, which names the targets, and calls at once.
const (
	headerLimit = 256 << 10
	streamLimit = 1000
)

// Options tell what apid serves.
type Options struct {
	// Host is the address to listen on; empty means all.
	Host string
	// Port is this and every other node's machine API port; 0 means the usual one.
	Port int
	// PKI holds the certificates; nobody gets through before it has some.
	PKI *machinepki.Store
	// IsLocal tells whether a target that a caller named, an address or a host name, is this node; see LocalTargets.
	IsLocal func(target string) bool
	// Resolve answers the address of the node that a caller means by a name; it may be nil, and false leaves the name to DNS.
	Resolve func(ctx context.Context, name string) (netip.Addr, bool)
	// Worker is true on a node that is no control plane: it cannot do all calls.
	Worker bool
	// Open tells whether every caller is an administrator of this node at the moment; nil means never.
	Open func() bool
	// Register adds the node's services. Each finds its caller's roles by authz.Roles.
	Register func(grpc.ServiceRegistrar)
	Log      *slog.Logger
}

// Run serves until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Port == 0 {
		opts.Port = boot.MachineAPIPort
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}

	local, err := startLocal(opts.Register, authz.Guard{Open: opts.Open}, calls.Gate{Worker: opts.Worker}, opts.Log)
	if err != nil {
		listener.Close()
		return err
	}
	defer local.stop()

	remotes := newPool(opts.PKI, opts.Port)
	defer remotes.close()

	router := &router{local: local, remotes: remotes, isLocal: opts.IsLocal, resolve: opts.Resolve}

	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(opts.PKI.ServerTLS())),
		grpc.ForceServerCodecV2(proxy.Codec()),
		grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize),
		grpc.MaxHeaderListSize(headerLimit),
		grpc.MaxConcurrentStreams(streamLimit),
		grpc.UnknownServiceHandler(proxy.TransparentHandler(router.direct, proxy.WithStreamedDetector(local.streams))),
	)

	return Serve(ctx, server, listener)
}

// Serve runs a gRPC server on listener until ctx ends, and gives the calls under way a moment to end.
func Serve(ctx context.Context, server *grpc.Server, listener net.Listener) error {
	done := make(chan error, 1)

	go func() { done <- server.Serve(listener) }()

	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}

	force := time.AfterFunc(stopLimit, server.Stop)
	defer force.Stop()

	server.GracefulStop()

	// A context that ended before the server began leaves it nothing to do, which is no failure.
	if err := <-done; !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}

	return nil
}
