package hostdns

import (
	"context"
	"net"
	"testing"
	"time"
)

// resolver answers every packet and stream with its question, reversed.
func resolver(t *testing.T) string {
	t.Helper()

	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { packets.Close(); streams.Close() })

	go func() {
		for buffer := make([]byte, 512); ; {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}

			_, _ = packets.WriteTo(reversed(buffer[:n]), from)
		}
	}()

	go func() {
		for buffer := make([]byte, 512); ; {
			conn, err := streams.Accept()
			if err != nil {
				return
			}

			n, _ := conn.Read(buffer)
			_, _ = conn.Write(reversed(buffer[:n]))
			conn.Close()
		}
	}()

	return packets.LocalAddr().String()
}

func reversed(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := len(text) - 1; i >= 0; i-- {
		out = append(out, text[i])
	}

	return out
}

func exchange(t *testing.T, network, address string) string {
	t.Helper()

	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}

	if _, err := conn.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}

	buffer := make([]byte, 16)

	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}

	return string(buffer[:n])
}

func TestQuestionsAndAnswersPassUnread(t *testing.T) {
	upstream := resolver(t)
	ctx, cancel := context.WithCancel(t.Context())

	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{}, 2)

	go func() { relayPackets(ctx, packets, upstream); done <- struct{}{} }()
	go func() { relayStreams(ctx, streams, upstream); done <- struct{}{} }()

	if got := exchange(t, "udp", packets.LocalAddr().String()); got != "cba" {
		t.Errorf("over UDP: %q", got)
	}

	if got := exchange(t, "tcp", streams.Addr().String()); got != "cba" {
		t.Errorf("over TCP: %q", got)
	}

	cancel()
	packets.Close()
	streams.Close()
	<-done
	<-done
}

func TestFirstResolverOfTheNodeIsAsked(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"an engine's", "search lan\nnameserver 127.0.0.11\nnameserver 8.8.8.8\noptions ndots:0\n", "127.0.0.11:53"},
		{"IPv6", "nameserver fd00::1\n", "[fd00::1]:53"},
		{"after nonsense", "nameserver\nnameserver here\nnameserver 10.0.0.1\n", "10.0.0.1:53"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := firstResolver(tc.text); err != nil || got != tc.want {
				t.Errorf("firstResolver = %q, %v", got, err)
			}
		})
	}

	if got, err := firstResolver("search lan\n"); err == nil {
		t.Errorf("of none: %q", got)
	}
}
