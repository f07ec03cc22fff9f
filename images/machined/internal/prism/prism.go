// Package prism is the node's own TCP balancer for the Kubernetes API, on loopback. Besides balancing it holds: while
// no upstream is fit, a new connection waits instead of being refused, because every client of a booting node answers
// a refusal with an exponential back-off that costs more than the wait.
package prism

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// HoldLimit is how long a connection waits for a fit upstream before it is closed. Clients give up at 10 s.
	HoldLimit = 9 * time.Second

	dialLimit = 2 * time.Second

	// Upstreams that are not fit are asked often while a node boots; fit ones rarely.
	checkEager  = 50 * time.Millisecond
	checkSteady = 5 * time.Second
)

// Fit tells whether an upstream (host:port) may serve clients now; nil means yes.
type Fit func(ctx context.Context, upstream string) error

// Balancer passes connections to upstreams that are fit. New makes one.
type Balancer struct {
	fit       Fit
	upstreams func() []string

	mu      sync.Mutex
	healthy []string
	changed chan struct{}
	reason  error
	next    atomic.Uint64
}

// New makes a balancer over what upstreams answers at each check.
func New(upstreams func() []string, fit Fit) *Balancer {
	return &Balancer{fit: fit, upstreams: upstreams, changed: make(chan struct{}), reason: errors.New("not checked yet")}
}

// Await blocks until an upstream is fit and answers it.
func (b *Balancer) Await(ctx context.Context) (string, error) {
	for {
		b.mu.Lock()
		healthy, changed, reason := b.healthy, b.changed, b.reason
		b.mu.Unlock()

		if len(healthy) > 0 {
			return healthy[b.next.Add(1)%uint64(len(healthy))], nil
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the Kubernetes API: %w: %w", ctx.Err(), reason)
		}
	}
}

// Healthy answers nil while an upstream is fit.
func (b *Balancer) Healthy(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()

	if len(b.healthy) > 0 {
		return nil
	}

	return b.reason
}

// Serve accepts on listener until ctx ends, and closes it and every connection then. Check must run beside it.
func (b *Balancer) Serve(ctx context.Context, listener net.Listener) error {
	var carrying sync.WaitGroup
	defer carrying.Wait()

	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()

	for {
		client, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return fmt.Errorf("accepting for the Kubernetes API: %w", err)
		}

		carrying.Go(func() { b.carry(ctx, client) })
	}
}

// Check asks the upstreams whether they are fit, over and over, until ctx ends.
func (b *Balancer) Check(ctx context.Context) {
	for {
		healthy, reason := b.survey(ctx)
		b.publish(healthy, reason)

		pause := checkEager
		if len(healthy) > 0 {
			pause = checkSteady
		}

		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (b *Balancer) survey(ctx context.Context) (healthy []string, reason error) {
	for _, upstream := range b.upstreams() {
		limited, cancel := context.WithTimeout(ctx, dialLimit)

		if err := b.fit(limited, upstream); err != nil {
			reason = fmt.Errorf("%s: %w", upstream, err)
		} else {
			healthy = append(healthy, upstream)
		}

		cancel()
	}

	return healthy, reason
}

func (b *Balancer) publish(healthy []string, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.healthy, b.reason = healthy, reason

	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *Balancer) carry(ctx context.Context, client net.Conn) {
	defer client.Close()

	held, cancel := context.WithTimeout(ctx, HoldLimit)
	defer cancel()

	server, err := b.dial(held)
	if err != nil {
		return
	}
	defer server.Close()

	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()

	pipe(client, server)
}

// dial connects to a fit upstream, and to the next one where the first has just died.
func (b *Balancer) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialLimit}

	for {
		upstream, err := b.Await(ctx)
		if err != nil {
			return nil, err
		}

		if server, err := dialer.DialContext(ctx, "tcp", upstream); err == nil {
			return server, nil
		}

		select {
		case <-time.After(checkEager):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pipe copies both ways until both sides have ended.
func pipe(client, server net.Conn) {
	done := make(chan struct{})

	go func() {
		defer close(done)
		flow(server, client)
	}()

	flow(client, server)
	<-done
}

func flow(to, from net.Conn) {
	_, _ = io.Copy(to, from)

	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
