// Package server is a control plane's side of discovery: siderolabs' discovery API over TLS, for its own cluster only.
// It keeps what nodes say of themselves in memory, sealed, and forgets who is silent. Nodes announce themselves to every
// server, so that servers need not know each other. It may import the room of seals, and no other of discovery.
package server

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/apid"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
	"github.com/bronze-os/bronze/images/machined/internal/recovery"
)

const (
	// bufferSize is in bytes. Messages are few and small; gRPC's own buffers are 32 KiB each way and connection.
	bufferSize = 4 << 10
	// silenceLimit and answerLimit find clients that are gone without a word. Those that live refresh themselves more
	// often than silenceLimit.
	silenceLimit = time.Minute
	answerLimit  = 10 * time.Second
)

// Options tell what a server serves.
type Options struct {
	// Host is the address to listen on; empty means all.
	Host string
	// Port is where to listen; 0 means the usual one.
	Port int
	TLS  *tls.Config
	// Config answers the node's machine config, which says whether there is discovery, and for which cluster.
	Config func() config.Provider
	Log    *slog.Logger
}

// Run serves until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Port == 0 {
		opts.Port = boot.DiscoveryPort
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}

	group, ctx := errgroup.WithContext(ctx)
	own := newServer(opts.Config, ctx.Done())

	group.Go(func() error {
		own.forget(ctx)
		return nil
	})
	group.Go(func() error { return apid.Serve(ctx, own.grpc(opts.TLS, opts.Log), listener) })

	err = group.Wait()

	own.senders.Wait()

	return err
}

// server implements pb.ClusterServer.
type server struct {
	pb.UnimplementedClusterServer

	config func() config.Provider
	// ending is closed when watches are to end.
	ending <-chan struct{}
	// senders are messages under way to watchers, which a call may leave behind.
	senders sync.WaitGroup

	mu       sync.Mutex
	registry registry
	watchers map[*watcher]struct{}
	// sooner has room for one; forget looks again when something may expire earlier than it thought.
	sooner chan struct{}
}

func newServer(config func() config.Provider, ending <-chan struct{}) *server {
	return &server{
		config: config, ending: ending,
		registry: registry{}, watchers: map[*watcher]struct{}{}, sooner: make(chan struct{}, 1),
	}
}

func (s *server) grpc(config *tls.Config, log *slog.Logger) *grpc.Server {
	server := grpc.NewServer(append(recovery.Options(log),
		grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ReadBufferSize(bufferSize),
		grpc.WriteBufferSize(bufferSize),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: silenceLimit, Timeout: answerLimit}),
		// siderolabs' client pings every 10 s.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: answerLimit / 2, PermitWithoutStream: true}),
	)...)
	pb.RegisterClusterServer(server, s)

	return server
}

// Hello tells the caller its address.
func (s *server) Hello(ctx context.Context, request *pb.HelloRequest) (*pb.HelloResponse, error) {
	if _, err := s.admit(request.GetClusterId()); err != nil {
		return nil, err
	}

	return &pb.HelloResponse{ClientIp: callerIP(ctx)}, nil
}

// AffiliateUpdate takes in what a node says of itself.
func (s *server) AffiliateUpdate(_ context.Context, request *pb.AffiliateUpdateRequest) (*pb.AffiliateUpdateResponse, error) {
	secret, err := s.admit(request.GetClusterId())
	if err != nil {
		return nil, err
	}

	news, err := parse(request, secret)
	if err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	changed, err := s.registry.apply(news, time.Now())
	if err != nil {
		return nil, err
	}

	if changed {
		s.tell(news.id)
	}

	select {
	case s.sooner <- struct{}{}:
	default:
	}

	return &pb.AffiliateUpdateResponse{}, nil
}

// AffiliateDelete forgets a node at once, when the caller proves that it belongs to the cluster; see seal.Deletion.
func (s *server) AffiliateDelete(ctx context.Context, request *pb.AffiliateDeleteRequest) (*pb.AffiliateDeleteResponse, error) {
	secret, err := s.admit(request.GetClusterId())
	if err != nil {
		return nil, err
	}

	if err := checkID(request.GetAffiliateId()); err != nil {
		return nil, err
	}

	proof := seal.Deletion{Secret: secret, ClusterID: request.GetClusterId(), AffiliateID: request.GetAffiliateId()}
	if err := proof.Check(ctx); err != nil {
		return nil, status.Errorf(codes.PermissionDenied, "deleting affiliate %q: %v", request.GetAffiliateId(), err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	if s.registry.remove(request.GetAffiliateId()) {
		s.tell(request.GetAffiliateId())
	}

	return &pb.AffiliateDeleteResponse{}, nil
}

// List tells all affiliates.
func (s *server) List(_ context.Context, request *pb.ListRequest) (*pb.ListResponse, error) {
	if _, err := s.admit(request.GetClusterId()); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	response := &pb.ListResponse{}

	for _, id := range s.registry.ids() {
		message, _ := s.registry.message(id)
		response.Affiliates = append(response.Affiliates, message)
	}

	return response, nil
}

// admit answers the cluster's secret to who knows the cluster's ID.
func (s *server) admit(clusterID string) (*seal.Secret, error) {
	cluster := s.config().Cluster()

	if discovery := cluster.Discovery(); !discovery.Enabled() || !discovery.Registries().Service().Enabled() {
		return nil, status.Error(codes.FailedPrecondition,
			"discovery is off in this node's machine config; set cluster.discovery.enabled: true to use it")
	}

	if own := cluster.ID(); own == "" || subtle.ConstantTimeCompare([]byte(own), []byte(clusterID)) != 1 {
		return nil, status.Error(codes.PermissionDenied, "the cluster ID is not that of this server's own cluster, the only one that it serves")
	}

	secret, err := seal.New(cluster.Secret())
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "serving discovery: %v", err)
	}

	return secret, nil
}

// forget takes out what expires, until ctx ends.
func (s *server) forget(ctx context.Context) {
	for {
		timer := time.NewTimer(s.expire(time.Now()))

		select {
		case <-timer.C:
		case <-s.sooner:
		case <-ctx.Done():
			timer.Stop()
			return
		}

		timer.Stop()
	}
}

// expire tells the watchers what went, and answers how long there is nothing more to do.
func (s *server) expire(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.tell(s.registry.expire(now)...)

	if next, ok := s.registry.next(); ok {
		return next.Sub(now)
	}

	return maxTTL
}

// callerIP is empty where the caller has none.
func callerIP(ctx context.Context) []byte {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		if address, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
			return address.Addr().Unmap().AsSlice()
		}
	}

	return nil
}
