// Package trustd signs the certificates of workers, which prove by the machine token that they belong to the cluster.
// It runs on control planes only.
package trustd

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"github.com/siderolabs/talos/pkg/machinery/api/security"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/apid"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/recovery"
)

// Options tell what trustd serves.
type Options struct {
	// Host is the address to listen on; empty means all.
	Host string
	// Port is where to listen; 0 means the usual one.
	Port int
	// PKI holds the certificate to serve with.
	PKI *machinepki.Store
	// Config answers the node's machine config, which holds the token and the machine CA with its key.
	Config func() config.Provider
	// Hostname is this node's, which no worker may claim.
	Hostname string
	Log      *slog.Logger
}

// Run serves until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Port == 0 {
		opts.Port = boot.TrustdPort
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}

	server := grpc.NewServer(append(recovery.Options(opts.Log), grpc.Creds(credentials.NewTLS(opts.PKI.OpenTLS())))...)
	security.RegisterSecurityServiceServer(server, &signer{opts: opts})

	return apid.Serve(ctx, server, balance.AcceptOrigin(listener, opts.isBalancer))
}

// isBalancer tells whether an address is the cluster's endpoint: a balancer there announces whose connection it passes
// on. Where the endpoint is a control plane instead, that has no need to ask.
func (o Options) isBalancer(address netip.Addr) bool {
	endpoint, err := netip.ParseAddr(o.Config().Cluster().Endpoint().Hostname())

	return err == nil && endpoint == address
}

type signer struct {
	security.UnimplementedSecurityServiceServer
	opts Options
}

// Certificate signs a worker's request.
func (s *signer) Certificate(ctx context.Context, request *security.CertificateRequest) (*security.CertificateResponse, error) {
	cfg := s.opts.Config()

	if !tokenFits(ctx, cfg.Machine().Security().Token()) {
		return nil, status.Error(codes.Unauthenticated, "wrong or missing machine token")
	}

	address, err := peerAddress(ctx)
	if err != nil {
		return nil, err
	}

	signed, err := sign(cfg, s.opts.Hostname, address, request.Csr)
	if err != nil {
		s.opts.Log.WarnContext(ctx, "refused to sign", "peer", address, "error", err)
		return nil, status.Errorf(codes.InvalidArgument, "signing for %s: %v", address, err)
	}

	s.opts.Log.InfoContext(ctx, "signed", "peer", address)

	return &security.CertificateResponse{Ca: bundle(cfg), Crt: signed}, nil
}

// tokenFits compares digests, in constant time, so that neither the time nor the length tells anything of the token.
// A machine config without a token lets nobody in.
func tokenFits(ctx context.Context, token string) bool {
	given := metadata.ValueFromIncomingContext(ctx, "token")
	if len(given) != 1 || token == "" {
		return false
	}

	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(given[0]))

	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

func peerAddress(ctx context.Context) (netip.Addr, error) {
	if p, ok := peer.FromContext(ctx); ok {
		if address, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
			return address.Addr().Unmap(), nil
		}
	}

	return netip.Addr{}, status.Error(codes.InvalidArgument, "cannot tell the peer's address")
}
