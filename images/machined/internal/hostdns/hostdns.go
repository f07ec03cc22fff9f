// Package hostdns relays DNS questions of pods to the node's own resolver. A container engine's resolver listens on a
// loopback address that means something else inside a pod; the relay gives it an address that pods reach. Questions and
// answers pass unread.
package hostdns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	// Address is link-local and the same on every node, Talos's choice for it (machinery constants.HostDNSAddress).
	Address = "169.254.116.108"
	// ResolvConf is the resolver configuration that names Address, for pods that use the node's DNS.
	ResolvConf = "/system/etc/resolv.conf"

	nodeResolvConf = "/etc/resolv.conf"
	answerLimit    = 5 * time.Second
	messageSize    = 64 << 10
	// questionsAtOnce bounds the questions on their way, and so the memory that a flood of them can take.
	questionsAtOnce = 256
)

// Settings are what the machine config says of name resolution.
type Settings struct {
	// Servers are asked in this order instead of the engine's resolver.
	Servers []netip.Addr
	// Searches are the domains that short names are looked up in.
	Searches []string
}

// Files answers the resolver configuration for pods, and the node's own where the settings change it.
func (s Settings) Files() []rootfs.Step {
	content := "nameserver " + Address + "\n"
	if len(s.Searches) > 0 {
		content += "search " + strings.Join(s.Searches, " ") + "\n"
	}

	own := rootfs.Shadow{Path: nodeResolvConf}
	if len(s.Servers)+len(s.Searches) > 0 {
		own.Content = content
	}

	return []rootfs.Step{rootfs.File{Path: ResolvConf, Content: content, Mode: 0o644}, own}
}

// Relay answers questions on Address.
type Relay struct {
	// Settings are asked anew for each question.
	Settings func() Settings

	// engine are the resolvers that the engine gave the node, as host:port.
	engine []string
}

// Run gives the loopback interface the address and relays until ctx ends.
func (r Relay) Run(ctx context.Context, _ io.Writer) error {
	if err := addAddress(); err != nil {
		return err
	}

	text, err := os.ReadFile(rootfs.Original(nodeResolvConf))
	if err != nil {
		return fmt.Errorf("cannot read the node's resolvers: %w", err)
	}

	r.engine = resolvers(string(text))

	var config net.ListenConfig

	packets, err := config.ListenPacket(ctx, "udp", net.JoinHostPort(Address, "53"))
	if err != nil {
		return fmt.Errorf("cannot listen for DNS: %w", err)
	}

	streams, err := config.Listen(ctx, "tcp", net.JoinHostPort(Address, "53"))
	if err != nil {
		packets.Close()
		return fmt.Errorf("cannot listen for DNS: %w", err)
	}

	stop := context.AfterFunc(ctx, func() {
		packets.Close()
		streams.Close()
	})
	defer stop()

	var running sync.WaitGroup

	running.Go(func() { relayPackets(ctx, packets, r.upstreams) })
	running.Go(func() { relayStreams(ctx, streams, r.upstreams) })
	running.Wait()

	return nil
}

func addAddress() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("cannot find the loopback interface: %w", err)
	}

	address, err := netlink.ParseAddr(Address + "/32")
	if err != nil {
		return err
	}

	// Of host scope it is never the source of what the node sends to others.
	address.Scope = int(netlink.SCOPE_HOST)

	if err := netlink.AddrReplace(loopback, address); err != nil {
		return fmt.Errorf("cannot give loopback the address %s: %w", Address, err)
	}

	return nil
}

// upstreams are whom to ask, in this order, as host:port.
func (r Relay) upstreams() []string {
	servers := r.Settings().Servers
	if len(servers) == 0 {
		return r.engine
	}

	var asked []string
	for _, server := range servers {
		asked = append(asked, netip.AddrPortFrom(server, 53).String())
	}

	return asked
}

// resolvers reads those of a resolv.conf; lines that it cannot read are passed over.
func resolvers(resolvConf string) []string {
	var found []string

	for line := range strings.Lines(resolvConf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}

		if ip, err := netip.ParseAddr(fields[1]); err == nil {
			found = append(found, netip.AddrPortFrom(ip, 53).String())
		}
	}

	return found
}

func relayPackets(ctx context.Context, packets net.PacketConn, upstreams func() []string) {
	var asking sync.WaitGroup
	defer asking.Wait()

	places := make(chan struct{}, questionsAtOnce)

	for {
		question := make([]byte, messageSize)

		n, from, err := packets.ReadFrom(question)
		if err != nil {
			return
		}

		select {
		case places <- struct{}{}:
		default:
			// Too many are on their way; the client asks again.
			continue
		}

		asking.Go(func() {
			defer func() { <-places }()

			if answer, err := askAny(ctx, upstreams(), question[:n]); err == nil {
				_, _ = packets.WriteTo(answer, from)
			}
		})
	}
}

// askAny asks one after the other until one answers, all together for no longer than answerLimit.
func askAny(ctx context.Context, upstreams []string, question []byte) ([]byte, error) {
	errs := []error{errors.New("cannot relay DNS: the node has no resolver")}

	for _, upstream := range upstreams {
		answer, err := ask(ctx, upstream, question, answerLimit/time.Duration(len(upstreams)))
		if err == nil {
			return answer, nil
		}

		errs = append(errs, err)
	}

	return nil, errors.Join(errs...)
}

func ask(ctx context.Context, upstream string, question []byte, limit time.Duration) ([]byte, error) {
	dialer := net.Dialer{Timeout: limit}

	conn, err := dialer.DialContext(ctx, "udp", upstream)
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}

	if _, err := conn.Write(question); err != nil {
		return nil, err
	}

	answer := make([]byte, messageSize)
	n, err := conn.Read(answer)

	return answer[:n], err
}

func relayStreams(ctx context.Context, streams net.Listener, upstreams func() []string) {
	var carrying sync.WaitGroup
	defer carrying.Wait()

	for {
		client, err := streams.Accept()
		if err != nil {
			return
		}

		carrying.Go(func() { carry(ctx, client, upstreams()) })
	}
}

func carry(ctx context.Context, client net.Conn, upstreams []string) {
	defer client.Close()

	server, err := connect(ctx, upstreams)
	if err != nil {
		return
	}
	defer server.Close()

	// One deadline for the whole exchange: DNS over TCP is a question and an answer, not a lasting connection.
	deadline := time.Now().Add(2 * answerLimit)
	_, _ = client.SetDeadline(deadline), server.SetDeadline(deadline)

	done := make(chan struct{})

	go func() {
		defer close(done)
		_, _ = io.Copy(server, client)
		server.Close()
	}()

	_, _ = io.Copy(client, server)
	client.Close()
	<-done
}

// connect reaches the first of the resolvers that takes a connection.
func connect(ctx context.Context, upstreams []string) (net.Conn, error) {
	err := errors.New("cannot relay DNS: the node has no resolver")

	for _, upstream := range upstreams {
		dialer := net.Dialer{Timeout: answerLimit / time.Duration(len(upstreams))}

		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, "tcp", upstream); err == nil {
			return conn, nil
		}
	}

	return nil, err
}
