package discovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
)

const (
	// callLimit bounds each call, so that a server that hangs is found.
	callLimit = 5 * time.Second
	// bufferSize is in bytes, for messages that are few and small.
	bufferSize = 4 << 10
	// maxPerServer is how many affiliates of one message of one server are looked at.
	maxPerServer = 4096
)

// session is one connection to one server.
type session struct {
	config   settings
	self     *announcement
	api      pb.ClusterClient
	tell     func(event)
	nodeID   string
	version  string
	redirect string
	// absent has room for one: the server does not know this node.
	absent chan struct{}

	// calls keeps an announcement from overtaking the farewell.
	calls sync.Mutex
}

// event is news of a server for the view.
type event struct {
	server string
	kind   eventKind
	// affiliates are those of a snapshot or an update; ids those of a removal, or that are to be forgotten.
	affiliates []cluster.AffiliateSpec
	ids        []string
	// published is closed when what this tells is published; nil where nobody waits for it.
	published chan struct{}
}

type eventKind int

const (
	isSnapshot eventKind = iota
	isUpdate
	isRemoval
	isDisconnect
	// isForgotten is no server's word: a client of the machine API has had all servers delete these.
	isForgotten
)

// dial makes a connection that is used for one session; gRPC's own attempts to come back are not waited for.
func dial(to server, roots *tls.Config) (*grpc.ClientConn, error) {
	transport := credentials.NewTLS(roots)
	if to.plain {
		transport = insecure.NewCredentials()
	}

	conn, err := grpc.NewClient("passthrough:///"+to.address,
		grpc.WithTransportCredentials(transport),
		grpc.WithReadBufferSize(bufferSize),
		grpc.WithWriteBufferSize(bufferSize),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: callLimit}))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of %s: %w", to.address, err)
	}

	return conn, nil
}

// run announces this node and watches the others, until ctx or the connection ends. The error is never nil.
func (s *session) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return s.announce(ctx) })
	group.Go(func() error { return s.watch(ctx) })

	return group.Wait()
}

// hello finds out whether the server serves this node.
func (s *session) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()

	answer, err := s.api.Hello(ctx, &pb.HelloRequest{ClusterId: s.config.clusterID, ClientVersion: s.version})
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}

	if s.redirect = answer.GetRedirect().GetEndpoint(); s.redirect != "" {
		return fmt.Errorf("the server sends its clients to %s", s.redirect)
	}

	return nil
}

// announce tells the server of this node at once, when that changes, when the server turns out not to know it, and in
// time before the server forgets it.
func (s *session) announce(ctx context.Context) error {
	ticker := time.NewTicker(s.config.ttl / 3)
	defer ticker.Stop()

	for {
		data, changed := s.self.now()
		if err := s.update(ctx, data); err != nil {
			return err
		}

		select {
		case <-changed:
		case <-s.absent:
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// update has nothing to say without data, which is how a node leaves.
func (s *session) update(ctx context.Context, data []byte) error {
	s.calls.Lock()
	defer s.calls.Unlock()

	if len(data) == 0 || s.self.left() {
		return nil
	}

	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()

	_, err := s.api.AffiliateUpdate(ctx, &pb.AffiliateUpdateRequest{
		ClusterId: s.config.clusterID, AffiliateId: s.nodeID, AffiliateData: data, Ttl: durationpb.New(s.config.ttl),
	})
	if err != nil {
		return fmt.Errorf("announcing this node: %w", err)
	}

	return nil
}

// farewell has the server forget this node.
func (s *session) farewell(ctx context.Context) error {
	s.calls.Lock()
	defer s.calls.Unlock()

	if err := s.delete(ctx, s.nodeID); err != nil {
		return fmt.Errorf("taking leave: %w", err)
	}

	return nil
}

// delete has the server forget the node of that ID.
func (s *session) delete(ctx context.Context, nodeID string) error {
	proof := seal.Deletion{Secret: s.config.secret, ClusterID: s.config.clusterID, AffiliateID: nodeID}

	_, err := s.api.AffiliateDelete(ctx,
		&pb.AffiliateDeleteRequest{ClusterId: s.config.clusterID, AffiliateId: nodeID}, grpc.PerRPCCredentials(proof))

	return err
}

func (s *session) watch(ctx context.Context) error {
	stream, err := s.api.Watch(ctx, &pb.WatchRequest{ClusterId: s.config.clusterID})
	if err != nil {
		return fmt.Errorf("watching: %w", err)
	}

	// What comes first is all that the server has; clients add to it what comes later.
	for kind := isSnapshot; ; kind = isUpdate {
		message, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watching: %w", err)
		}

		s.take(kind, message)
	}
}

// take hands on what the server says of others, and sees what it says of this node.
func (s *session) take(kind eventKind, message *pb.WatchResponse) {
	news := event{kind: kind}
	knowsSelf := false

	if message.GetDeleted() {
		news.kind = isRemoval
	}

	for _, a := range message.GetAffiliates()[:min(len(message.GetAffiliates()), maxPerServer)] {
		switch {
		case a.GetId() == s.nodeID:
			knowsSelf = true
		case message.GetDeleted():
			news.ids = append(news.ids, a.GetId())
		default:
			if spec, err := s.open(a); err == nil {
				news.affiliates = append(news.affiliates, spec)
			}
		}
	}

	s.tell(news)

	// A server that forgot this node, as when it started anew, is told again at once.
	if (news.kind == isSnapshot && !knowsSelf) || (news.kind == isRemoval && knowsSelf) {
		select {
		case s.absent <- struct{}{}:
		default:
		}
	}
}

// open reads an affiliate, which may come from anybody: a server outside the cluster takes what it is given.
func (s *session) open(a *pb.Affiliate) (cluster.AffiliateSpec, error) {
	content, err := s.config.secret.Open(a.GetData())
	if err != nil {
		return cluster.AffiliateSpec{}, err
	}

	if content.GetNodeId() != a.GetId() {
		return cluster.AffiliateSpec{}, errors.New("cannot believe an affiliate that bears another's ID")
	}

	return decode(content), nil
}
