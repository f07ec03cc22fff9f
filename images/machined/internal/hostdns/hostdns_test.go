package hostdns

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
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
	// The first of them answers nobody.
	servers := []string{"127.0.0.1:1", resolver(t)}
	upstreams := func() []string { return servers }
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

	go func() { relayPackets(ctx, packets, upstreams); done <- struct{}{} }()
	go func() { relayStreams(ctx, streams, upstreams); done <- struct{}{} }()

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

func TestResolversOfTheConfigGoBeforeTheEngines(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		servers    []netip.Addr
		want       []string
	}{
		{"an engine's", "search lan\nnameserver 127.0.0.11\nnameserver 8.8.8.8\noptions ndots:0\n", nil, []string{"127.0.0.11:53", "8.8.8.8:53"}},
		{"IPv6", "nameserver fd00::1\n", nil, []string{"[fd00::1]:53"}},
		{"after nonsense", "nameserver\nnameserver here\nnameserver 10.0.0.1\n", nil, []string{"10.0.0.1:53"}},
		{"the config's", "nameserver 127.0.0.11\n", []netip.Addr{netip.MustParseAddr("10.9.9.9")}, []string{"10.9.9.9:53"}},
		{"none", "search lan\n", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			relay := Relay{Settings: func() Settings { return Settings{Servers: tc.servers} }, engine: resolvers(tc.text)}

			if diff := cmp.Diff(tc.want, relay.upstreams()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolverConfigurationNamesTheRelayAndTheSearchList(t *testing.T) {
	for _, tc := range []struct {
		name      string
		settings  Settings
		pods, own string
	}{
		{"of no settings", Settings{}, "nameserver 169.254.116.108\n", ""},
		{
			"of both", Settings{Servers: []netip.Addr{netip.MustParseAddr("10.9.9.9")}, Searches: []string{"a.lan", "b.lan"}},
			"nameserver 169.254.116.108\nsearch a.lan b.lan\n", "nameserver 169.254.116.108\nsearch a.lan b.lan\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := []rootfs.Step{
				rootfs.File{Path: ResolvConf, Content: tc.pods, Mode: 0o644},
				rootfs.Shadow{Path: "/etc/resolv.conf", Content: tc.own},
			}

			if diff := cmp.Diff(want, tc.settings.Files()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
