package server

import (
	"slices"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// sendLimit is how long a watcher may leave a message unread.
const sendLimit = 20 * time.Second

// chunk is how many affiliates one message holds: with maxData and all endpoints each, 1 MiB, where clients take 4.
const chunk = 128

// watcher is one stream of changes. It remembers which affiliates changed and not how, so that a slow one costs no more
// than the affiliates that there are, and gets what is true when it is ready.
type watcher struct {
	changed map[string]struct{}
	// wake has room for one.
	wake chan struct{}
}

// Watch sends all affiliates, then each change, until the caller goes or does not read.
func (s *server) Watch(request *pb.WatchRequest, stream pb.Cluster_WatchServer) error {
	if _, err := s.admit(request.GetClusterId()); err != nil {
		return err
	}

	w, all, err := s.subscribe()
	if err != nil {
		return err
	}
	defer s.unsubscribe(w)

	// The first message is the snapshot, even an empty one; clients add to it what comes later.
	for messages := snapshot(all); ; messages = s.take(w) {
		for _, message := range messages {
			if err := s.send(stream, message); err != nil {
				return err
			}
		}

		select {
		case <-w.wake:
		case <-stream.Context().Done():
			return nil
		case <-s.ending:
			return errEnding()
		}
	}
}

func errEnding() error {
	return status.Error(codes.Unavailable, "the server ends")
}

// send bounds how long one message may take. gRPC ends it when the call does, which is at once after the error.
func (s *server) send(stream pb.Cluster_WatchServer, message *pb.WatchResponse) error {
	sent := make(chan error, 1)

	s.senders.Go(func() { sent <- stream.Send(message) })

	timer := time.NewTimer(sendLimit)
	defer timer.Stop()

	select {
	case err := <-sent:
		return err
	case <-timer.C:
		return status.Errorf(codes.ResourceExhausted, "the watcher has left a message unread for %s", sendLimit)
	case <-s.ending:
		return errEnding()
	}
}

// subscribe answers a watcher and all affiliates as they were when it began to watch.
func (s *server) subscribe() (*watcher, []*pb.Affiliate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if len(s.watchers) >= maxWatchers {
		return nil, nil, status.Errorf(codes.ResourceExhausted, "there are %d watchers already, and no more are served", maxWatchers)
	}

	w := &watcher{changed: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	s.watchers[w] = struct{}{}

	all, _ := s.messages(s.registry.ids())

	return w, all, nil
}

func (s *server) unsubscribe(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.watchers, w)
}

// tell marks affiliates as changed for every watcher; s.mu is held.
func (s *server) tell(ids ...string) {
	if len(ids) == 0 {
		return
	}

	for w := range s.watchers {
		for _, id := range ids {
			w.changed[id] = struct{}{}
		}

		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// take answers what changed since the watcher was last told.
func (s *server) take(w *watcher) []*pb.WatchResponse {
	s.mu.Lock()
	defer s.mu.Unlock()

	ids := make([]string, 0, len(w.changed))
	for id := range w.changed {
		ids = append(ids, id)
	}

	clear(w.changed)

	present, gone := s.messages(ids)

	return append(inChunks(present, false), inChunks(gone, true)...)
}

// messages answers those that are there, and the names of those that are not; s.mu is held.
func (s *server) messages(ids []string) (present, gone []*pb.Affiliate) {
	slices.Sort(ids)

	for _, id := range ids {
		if message, ok := s.registry.message(id); ok {
			present = append(present, message)
		} else {
			gone = append(gone, &pb.Affiliate{Id: id})
		}
	}

	return present, gone
}

func snapshot(all []*pb.Affiliate) []*pb.WatchResponse {
	if len(all) == 0 {
		return []*pb.WatchResponse{{}}
	}

	return inChunks(all, false)
}

func inChunks(affiliates []*pb.Affiliate, deleted bool) []*pb.WatchResponse {
	var messages []*pb.WatchResponse

	for part := range slices.Chunk(affiliates, chunk) {
		messages = append(messages, &pb.WatchResponse{Affiliates: part, Deleted: deleted})
	}

	return messages
}
