package discovery

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
)

// The pauses before a server is tried again. The longest is short, because a server that came back has forgotten all.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

// steadyAfter is how long a session must have lasted for the next attempt to come at once.
const steadyAfter = 10 * time.Second

// maxReasons is how many reasons the log gets for one outage.
const maxReasons = 3

// link keeps up sessions with one server, one after the other.
type link struct {
	to     server
	roots  func(public bool) (*tls.Config, error)
	begin  func() *session
	events chan<- event
	log    *slog.Logger
	// told are the reasons that the log has already; run's goroutine alone uses it.
	told map[string]bool

	mu      sync.Mutex
	current *session
}

// run blocks until ctx ends.
func (l *link) run(ctx context.Context) {
	pause, to := firstPause, l.to

	for ctx.Err() == nil {
		began := time.Now()

		redirect, err := l.converse(ctx, to)
		if ctx.Err() != nil {
			return
		}

		// Only servers outside the cluster send their clients elsewhere; when that one fails, the first is asked again.
		to = l.to
		if redirect != "" && l.to.public {
			to.address = redirect
		}

		l.send(ctx, event{kind: isDisconnect})

		l.complain(ctx, err)

		if time.Since(began) > steadyAfter {
			pause = firstPause
		}

		wait(ctx, pause/2+rand.N(pause))

		pause = min(2*pause, longestPause)
	}
}

// converse holds one session, and answers where the server wants to be asked instead, which is mostly empty. The error
// is never nil.
func (l *link) converse(ctx context.Context, to server) (redirect string, err error) {
	roots, err := l.roots(to.public)
	if err != nil {
		return "", err
	}

	conn, err := dial(to, roots)
	if err != nil {
		return "", err
	}
	defer conn.Close()

	s := l.begin()
	s.api = pb.NewClusterClient(conn)
	s.tell = func(news event) { l.send(ctx, news) }

	if err := s.hello(ctx); err != nil {
		return s.redirect, err
	}

	clear(l.told)
	l.use(s)
	defer l.use(nil)

	return "", s.run(ctx)
}

// complain tells each reason once, until the server answers again: one that is gone for good fails now in this way, now in
// that.
func (l *link) complain(ctx context.Context, err error) {
	if l.told[err.Error()] || len(l.told) >= maxReasons {
		return
	}

	l.told[err.Error()] = true
	l.log.InfoContext(ctx, "no discovery", "server", l.to.address, "error", err)
}

func (l *link) send(ctx context.Context, news event) {
	news.server = l.to.address

	select {
	case l.events <- news:
	case <-ctx.Done():
	}
}

func (l *link) use(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.current = s
}

// session is the one that is going on, nil where there is none.
func (l *link) session() *session {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.current
}

func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
