package balance

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// HoldLimit is how long a connection waits for a fit upstream before it is closed. Clients give up at 10 s.
	HoldLimit = 9 * time.Second

	// dialLimit bounds a connection to an upstream that has died since it was last looked at.
	dialLimit = time.Second

	// maxConnections bounds what a balancer carries or holds at once; more wait in the kernel to be accepted.
	maxConnections = 4096
)

// Serve accepts on listener until ctx ends, and closes it and every connection then. Check must run beside it.
func (b *Balancer) Serve(ctx context.Context, listener net.Listener) error {
	var carrying sync.WaitGroup
	defer carrying.Wait()

	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()

	slots := make(chan struct{}, maxConnections)

	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}

		client, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}

		if err != nil {
			return fmt.Errorf("accepting connections to balance: %w", err)
		}

		carrying.Go(func() {
			defer func() { <-slots }()

			b.carry(ctx, client)
		})
	}
}

func (b *Balancer) carry(ctx context.Context, client net.Conn) {
	defer client.Close()

	upstream, server, err := b.dial(ctx)
	if err != nil {
		return
	}
	defer server.Close()

	connection := &carried{upstream: upstream, client: client, server: server}

	b.enter(connection)
	defer b.leave(connection)

	stop := context.AfterFunc(ctx, connection.close)
	defer stop()

	if b.announced && writeOrigin(server, client) != nil {
		return
	}

	pipe(client, server)
}

// dial connects to an upstream that is fit, and to the next one where the first has just died. It gives up after
// HoldLimit.
func (b *Balancer) dial(ctx context.Context) (upstream string, server net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, HoldLimit)
	defer cancel()

	dialer := net.Dialer{Timeout: dialLimit}

	for {
		candidates, err := b.await(ctx)
		if err != nil {
			return "", nil, err
		}

		for _, upstream := range candidates {
			if server, err := dialer.DialContext(ctx, "tcp", upstream); err == nil {
				return upstream, server, nil
			}
		}

		if err := pause(ctx, checkEager); err != nil {
			return "", nil, err
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
