// Package balance carries TCP connections to those of several upstreams that are fit. Besides balancing it holds: while
// no upstream is fit, a new connection waits instead of being refused, because every client of a booting node answers
// a refusal with an exponential back-off that costs more than the wait. The cluster's balancer and each node's own, on
// loopback, are made of it. It imports the standard library only, as both must stay small.
package balance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Fit tells whether an upstream (host:port) may serve clients now; nil means yes. An error that wraps ErrWeak is for one
// that answers and should not be the first choice.
type Fit func(ctx context.Context, upstream string) error

// ErrWeak is in the error of an upstream that gets connections only while none is fit, and keeps those it has.
var ErrWeak = errors.New("answers, but is not ready")

// Balancer passes connections to upstreams that are fit. New and NewInOrder make one.
type Balancer struct {
	fit       Fit
	upstreams func() []string
	inOrder   bool
	announced bool

	renewed chan struct{}

	mu       sync.Mutex
	standing standing
	changed  chan struct{}
	open     map[*carried]struct{}

	turn atomic.Uint64
}

// New makes a balancer that spreads connections over what upstreams answers at each check, one after the other.
func New(upstreams func() []string, fit Fit) *Balancer {
	return &Balancer{
		fit:       fit,
		upstreams: upstreams,
		renewed:   make(chan struct{}, 1),
		standing:  standing{reason: errors.New("not checked yet")},
		changed:   make(chan struct{}),
		open:      map[*carried]struct{}{},
	}
}

// NewInOrder makes a balancer that uses the first of the upstreams that is fit.
func NewInOrder(upstreams func() []string, fit Fit) *Balancer {
	balancer := New(upstreams, fit)
	balancer.inOrder = true

	return balancer
}

// Renew tells Check that more than time has changed what is fit: it looks at once, and eagerly again. It never blocks.
func (b *Balancer) Renew() {
	select {
	case b.renewed <- struct{}{}:
	default:
	}
}

// Await blocks until an upstream is fit and answers it.
func (b *Balancer) Await(ctx context.Context) (string, error) {
	candidates, err := b.await(ctx)
	if err != nil {
		return "", err
	}

	return candidates[0], nil
}

// await blocks until there are upstreams to use, and answers them, the preferred one first.
func (b *Balancer) await(ctx context.Context) ([]string, error) {
	for {
		b.mu.Lock()
		standing, changed := b.standing, b.changed
		b.mu.Unlock()

		if len(standing.usable) > 0 {
			return b.ranked(standing.usable), nil
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for an upstream that is fit: %w: %w", ctx.Err(), standing.reason)
		}
	}
}

// ranked begins with the upstream whose turn it is, and goes on with those that come after it.
func (b *Balancer) ranked(usable []string) []string {
	if b.inOrder {
		return usable
	}

	first := int(b.turn.Add(1) % uint64(len(usable)))

	return append(append([]string{}, usable[first:]...), usable[:first]...)
}

// Healthy answers nil while an upstream is fit.
func (b *Balancer) Healthy(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()

	if len(b.standing.usable) > 0 {
		return nil
	}

	return b.standing.reason
}

// carried is one client's connection and the upstream's that it was carried to.
type carried struct {
	upstream       string
	client, server net.Conn
}

func (c *carried) close() {
	c.client.Close()
	c.server.Close()
}

// publish makes known what a survey found. Connections to an upstream that is lost are closed: their clients would
// otherwise wait for it until TCP gives up, a quarter of an hour later.
func (b *Balancer) publish(found standing) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.standing = found

	for connection := range b.open {
		if found.lost(connection.upstream) {
			connection.close()
		}
	}

	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *Balancer) enter(connection *carried) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.open[connection] = struct{}{}
}

func (b *Balancer) leave(connection *carried) {
	b.mu.Lock()
	defer b.mu.Unlock()

	delete(b.open, connection)
}
