package prism_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) net.Listener {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	return listener
}

// greet serves a listener whose every connection gets the word.
func greet(t *testing.T, word string) string {
	t.Helper()

	listener := listen(t)
	done := make(chan struct{})

	go func() {
		defer close(done)

		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			_, _ = io.WriteString(conn, word)
			conn.Close()
		}
	}()

	t.Cleanup(func() { listener.Close(); <-done })

	return listener.Addr().String()
}

func serve(t *testing.T, balancer *prism.Balancer) string {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	listener := listen(t)
	done := make(chan error, 1)

	checked := make(chan struct{})

	go func() { done <- balancer.Serve(ctx, listener) }()
	go func() {
		defer close(checked)
		balancer.Check(ctx)
	}()

	t.Cleanup(func() {
		cancel()
		<-checked

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return listener.Addr().String()
}

func read(t *testing.T, address string) string {
	t.Helper()

	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}

func TestConnectionIsHeldUntilAnUpstreamIsFit(t *testing.T) {
	upstream := greet(t, "hello")

	var asked atomic.Int32

	balancer := prism.New(func() []string { return []string{upstream} }, func(context.Context, string) error {
		if asked.Add(1) < 5 {
			return errors.New("not yet")
		}

		return nil
	})

	if got := read(t, serve(t, balancer)); got != "hello" {
		t.Errorf("read %q", got)
	}

	if n := asked.Load(); n < 5 {
		t.Errorf("served after %d checks, before the upstream was fit", n)
	}
}

func TestOnlyFitUpstreamsAreUsed(t *testing.T) {
	good, bad := greet(t, "good"), greet(t, "bad")

	balancer := prism.New(func() []string { return []string{bad, good} }, func(_ context.Context, upstream string) error {
		if upstream == bad {
			return errors.New("bad")
		}

		return nil
	})
	address := serve(t, balancer)

	for range 4 {
		if got := read(t, address); got != "good" {
			t.Errorf("read %q", got)
		}
	}
}

func TestAwaitSaysWhyNoUpstreamIsFit(t *testing.T) {
	reason := errors.New("etcd is away")
	balancer := prism.New(func() []string { return []string{"127.0.0.1:1"} }, func(context.Context, string) error { return reason })

	serve(t, balancer)

	for balancer.Healthy(t.Context()) == nil || !errors.Is(balancer.Healthy(t.Context()), reason) {
		if t.Context().Err() != nil {
			t.Fatal("never checked")
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := balancer.Await(ctx); !errors.Is(err, reason) || !errors.Is(err, context.Canceled) {
		t.Errorf("Await = %v", err)
	}
}
