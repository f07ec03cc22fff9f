package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// testServer is one without a network.
func testServer(ending <-chan struct{}) *server {
	cfg := withDiscovery(container.NewV1Alpha1(&v1alpha1.Config{MachineConfig: &v1alpha1.MachineConfig{}, ClusterConfig: &v1alpha1.ClusterConfig{}}))

	return newServer(func() config.Provider { return cfg }, ending)
}

// stream is a watcher that reads only while it is told to, like a client whose window is full.
type stream struct {
	grpc.ServerStream

	ctx  context.Context
	read chan struct{}

	mu  sync.Mutex
	got []string
}

func newStream(ctx context.Context) *stream {
	return &stream{ctx: ctx, read: make(chan struct{})}
}

// Context is part of pb.Cluster_WatchServer.
func (s *stream) Context() context.Context { return s.ctx }

// Send is part of pb.Cluster_WatchServer.
func (s *stream) Send(message *pb.WatchResponse) error {
	select {
	case <-s.read:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}

	var ids []string
	for _, a := range message.GetAffiliates() {
		ids = append(ids, a.GetId())
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	s.got = append(s.got, fmt.Sprintf("deleted=%t %s", message.GetDeleted(), strings.Join(ids, ",")))

	return nil
}

func (s *stream) messages() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return strings.Join(s.got, "; ")
}

func announce(t *testing.T, s *server, id string, ttl time.Duration) {
	t.Helper()

	request := sealed(t, id)
	request.Ttl = durationpb.New(ttl)

	if _, err := s.AffiliateUpdate(t.Context(), request); err != nil {
		t.Fatal(err)
	}
}

func TestASilentAffiliateIsForgottenToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := testServer(ctx.Done())

		var wait sync.WaitGroup

		wait.Go(func() { s.forget(ctx) })

		count := func() int {
			synctest.Wait()

			list, err := s.List(ctx, &pb.ListRequest{ClusterId: clusterID})
			if err != nil {
				t.Fatal(err)
			}

			return len(list.GetAffiliates())
		}

		announce(t, s, "long", time.Minute)
		// The server sleeps until the first is due by now; this one is due earlier.
		synctest.Wait()
		announce(t, s, "short", 10*time.Second)

		for _, step := range []struct {
			pause time.Duration
			want  int
		}{{10*time.Second - 1, 2}, {1, 1}, {50*time.Second - 1, 1}, {1, 0}} {
			time.Sleep(step.pause)

			if got := count(); got != step.want {
				t.Errorf("%d affiliates, want %d", got, step.want)
			}
		}

		cancel()
		wait.Wait()
	})
}

func TestASlowWatcherGetsOnlyWhatIsTrueThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, watching := testServer(nil), newStream(ctx)
		done := make(chan error, 1)

		go func() { done <- s.Watch(&pb.WatchRequest{ClusterId: clusterID}, watching) }()

		watching.read <- struct{}{}
		synctest.Wait()

		for range 1000 {
			announce(t, s, "a", time.Minute)
			announce(t, s, "b", time.Minute)
		}

		s.mu.Lock()
		s.registry.remove("b")
		s.tell("b")
		s.mu.Unlock()

		// One message may have been under way already; all the rest is one message of each kind.
		close(watching.read)
		synctest.Wait()

		got := strings.Split(watching.messages(), "; ")
		if len(got) > 4 || got[len(got)-1] != "deleted=true b" {
			t.Errorf("messages %q", got)
		}

		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}

		s.senders.Wait()
	})
}

func TestAWatcherThatDoesNotReadIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, watching := testServer(nil), newStream(ctx)
		began := time.Now()

		err := s.Watch(&pb.WatchRequest{ClusterId: clusterID}, watching)
		if status.Code(err) != codes.ResourceExhausted || time.Since(began) != sendLimit {
			t.Errorf("Watch = %v after %s", err, time.Since(began))
		}

		if len(s.watchers) != 0 {
			t.Error("it is still told of changes")
		}

		// As gRPC does when the call has ended.
		cancel()
		s.senders.Wait()
	})
}

func TestWatchersAreBounded(t *testing.T) {
	s := testServer(nil)

	var one *watcher

	for range maxWatchers {
		w, _, err := s.subscribe()
		if err != nil {
			t.Fatal(err)
		}

		one = w
	}

	if err := s.Watch(&pb.WatchRequest{ClusterId: clusterID}, newStream(t.Context())); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more: %v", err)
	}

	s.unsubscribe(one)

	if _, _, err := s.subscribe(); err != nil {
		t.Errorf("in the place of one that left: %v", err)
	}
}

func TestWatchesEndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ending := make(chan struct{})
		s, watching := testServer(ending), newStream(t.Context())
		done := make(chan error, 1)

		go func() { done <- s.Watch(&pb.WatchRequest{ClusterId: clusterID}, watching) }()

		watching.read <- struct{}{}
		synctest.Wait()
		close(ending)

		if err := <-done; status.Code(err) != codes.Unavailable {
			t.Errorf("Watch = %v", err)
		}

		s.senders.Wait()
	})
}
