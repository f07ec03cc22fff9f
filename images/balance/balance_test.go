package balance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/balance"
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

func serve(t *testing.T, balancer *balance.Balancer) string {
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

	balancer := balance.New(func() []string { return []string{upstream} }, func(context.Context, string) error {
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

func TestARenewedBalancerLooksAtOnceAndEagerly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32

		balancer := balance.New(func() []string { return []string{"upstream"} }, func(context.Context, string) error {
			asked.Add(1)

			return errors.New("not yet")
		})

		go balancer.Check(t.Context())

		// After so long it looks once a second.
		time.Sleep(time.Minute)
		synctest.Wait()

		before := asked.Load()

		balancer.Renew()
		synctest.Wait()

		if looks := asked.Load() - before; looks != 1 {
			t.Errorf("looked %d times at once, want once", looks)
		}

		time.Sleep(500 * time.Millisecond)
		synctest.Wait()

		if looks := asked.Load() - before; looks < 5 {
			t.Errorf("looked %d times in the half second after", looks)
		}
	})
}

func TestOnlyFitUpstreamsAreUsed(t *testing.T) {
	good, bad := greet(t, "good"), greet(t, "bad")

	balancer := balance.New(func() []string { return []string{bad, good} }, func(_ context.Context, upstream string) error {
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
	balancer := balance.New(func() []string { return []string{"127.0.0.1:1"} }, func(context.Context, string) error { return reason })

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

func TestTheFirstFitUpstreamIsUsedInOrder(t *testing.T) {
	first, second, third := greet(t, "first"), greet(t, "second"), greet(t, "third")

	balancer := balance.NewInOrder(func() []string { return []string{first, second, third} }, func(_ context.Context, upstream string) error {
		if upstream == first {
			return errors.New("dead")
		}

		return nil
	})
	address := serve(t, balancer)

	for range 3 {
		if got := read(t, address); got != "second" {
			t.Errorf("read %q", got)
		}
	}
}

func TestConnectionsAreSpread(t *testing.T) {
	words := map[string]bool{}
	upstreams := []string{greet(t, "a"), greet(t, "b"), greet(t, "c")}
	address := serve(t, balance.New(func() []string { return upstreams }, func(context.Context, string) error { return nil }))

	for range 3 {
		words[read(t, address)] = true
	}

	if len(words) != 3 {
		t.Errorf("three connections reached %v", words)
	}
}

func TestAnUpstreamThatRefusesIsPassedOver(t *testing.T) {
	closed := listen(t)
	closed.Close()

	upstreams := []string{closed.Addr().String(), greet(t, "alive")}
	balancer := balance.NewInOrder(func() []string { return upstreams }, func(context.Context, string) error { return nil })

	if got := read(t, serve(t, balancer)); got != "alive" {
		t.Errorf("read %q", got)
	}
}

func TestAWeakUpstreamServesWhereNoneIsFit(t *testing.T) {
	upstream := greet(t, "weak")
	balancer := balance.New(func() []string { return []string{upstream} }, func(context.Context, string) error {
		return fmt.Errorf("%w: status 500", balance.ErrWeak)
	})

	if got := read(t, serve(t, balancer)); got != "weak" {
		t.Errorf("read %q", got)
	}
}

// silent serves a listener whose every connection stays open and silent.
func silent(t *testing.T) string {
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
			defer conn.Close()
		}
	}()

	t.Cleanup(func() { listener.Close(); <-done })

	return listener.Addr().String()
}

func TestConnectionsOfAnUpstreamThatDiedAreClosed(t *testing.T) {
	dying, other := silent(t), silent(t)

	var dead atomic.Bool

	balancer := balance.NewInOrder(func() []string { return []string{dying, other} }, func(_ context.Context, upstream string) error {
		if upstream == dying && dead.Load() {
			return errors.New("no route to host")
		}

		return nil
	})

	conn, err := net.Dial("tcp", serve(t, balancer))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}

	dead.Store(true)

	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}

	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		t.Errorf("Read = %v, want the end of the connection", err)
	}
}

func TestAnAnnouncedOriginIsTheRemoteAddress(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")

	for name, test := range map[string]struct {
		trusted bool
		want    func(client, peer string) string
	}{
		"from a trusted address": {true, func(client, _ string) string { return client + " hello" }},
		"from any other":         {false, func(_, peer string) string { return peer + " PROXY TCP4 127.0.0.1" }},
	} {
		t.Run(name, func(t *testing.T) {
			inner := listen(t)
			listener := balance.AcceptOrigin(inner, func(peer netip.Addr) bool { return test.trusted && peer == loopback })
			heard := make(chan [2]string, 1)
			done := make(chan struct{})

			go func() {
				defer close(done)

				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()

				text := make([]byte, 64)
				n, _ := conn.Read(text)
				heard <- [2]string{conn.RemoteAddr().String(), string(text[:n])}
			}()

			t.Cleanup(func() { inner.Close(); <-done })

			upstream := inner.Addr().String()
			balancer := balance.New(func() []string { return []string{upstream} }, func(context.Context, string) error { return nil })

			conn, err := net.Dial("tcp", serve(t, balancer.Announcing()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()

			if _, err := io.WriteString(conn, "hello"); err != nil {
				t.Fatal(err)
			}

			got := <-heard
			if line := got[0] + " " + got[1]; !strings.HasPrefix(line, test.want(conn.LocalAddr().String(), got[0])) {
				t.Errorf("the server saw %q", line)
			}
		})
	}
}
