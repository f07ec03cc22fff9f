package discovery

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// talk is the node's links with all servers, as long as its settings stay the same.
type talk struct {
	settings settings
	self     *announcement
	events   chan event
	// newLink makes a link that does not run yet.
	newLink func(t *talk, to server) *link

	running sync.WaitGroup

	mu    sync.Mutex
	links map[server]*runningLink
}

type runningLink struct {
	*link

	cancel context.CancelFunc
	ended  chan struct{}
}

func newTalk(s settings, newLink func(*talk, server) *link) *talk {
	return &talk{
		settings: s, self: newAnnouncement(), events: make(chan event), newLink: newLink, links: map[server]*runningLink{},
	}
}

// with makes the talk go on with just those servers, and answers the ones that it ended.
func (t *talk) with(ctx context.Context, servers []server) []server {
	var ended []server

	for to := range t.links {
		if !slices.Contains(servers, to) {
			t.stop(to)

			ended = append(ended, to)
		}
	}

	for _, to := range servers {
		if _, ok := t.links[to]; !ok {
			t.start(ctx, to)
		}
	}

	return ended
}

func (t *talk) start(ctx context.Context, to server) {
	ctx, cancel := context.WithCancel(ctx)
	started := &runningLink{link: t.newLink(t, to), cancel: cancel, ended: make(chan struct{})}

	t.running.Go(func() {
		defer close(started.ended)

		started.run(ctx)
	})

	t.mu.Lock()
	defer t.mu.Unlock()

	t.links[to] = started
}

// stop blocks until the link has ended.
func (t *talk) stop(to server) {
	stopped := t.links[to]

	t.mu.Lock()
	delete(t.links, to)
	t.mu.Unlock()

	stopped.cancel()
	<-stopped.ended
}

// end stops all links and blocks until they have ended.
func (t *talk) end() {
	t.with(context.Background(), nil)
	t.running.Wait()
}

// farewell has all servers that can be asked forget this node; no session announces it any more.
func (t *talk) farewell(ctx context.Context) error {
	t.self.leave()

	sessions := slices.Collect(maps.Values(t.sessions()))
	errs := make([]error, len(sessions))

	var leaving sync.WaitGroup

	for i, s := range sessions {
		leaving.Go(func() { errs[i] = s.farewell(ctx) })
	}

	leaving.Wait()

	return errors.Join(errs...)
}

// sessions are those that go on.
func (t *talk) sessions() map[server]*session {
	t.mu.Lock()
	defer t.mu.Unlock()

	sessions := map[server]*session{}

	for to, l := range t.links {
		if s := l.session(); s != nil {
			sessions[to] = s
		}
	}

	return sessions
}
