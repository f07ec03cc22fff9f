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

// Files answers the resolver configuration for pods.
func Files() []rootfs.Step {
	return []rootfs.Step{rootfs.File{Path: ResolvConf, Content: "nameserver " + Address + "\n", Mode: 0o644}}
}

// Run gives the loopback interface the address and relays until ctx ends.
func Run(ctx context.Context, _ io.Writer) error {
	if err := addAddress(); err != nil {
		return err
	}

	upstream, err := upstream()
	if err != nil {
		return err
	}

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

	running.Go(func() { relayPackets(ctx, packets, upstream) })
	running.Go(func() { relayStreams(ctx, streams, upstream) })
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

// upstream is the first resolver that the engine gave the node, as host:port.
func upstream() (string, error) {
	text, err := os.ReadFile(nodeResolvConf)
	if err != nil {
		return "", fmt.Errorf("cannot read the node's resolvers: %w", err)
	}

	return firstResolver(string(text))
}

func firstResolver(resolvConf string) (string, error) {
	for line := range strings.Lines(resolvConf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}

		if ip, err := netip.ParseAddr(fields[1]); err == nil {
			return netip.AddrPortFrom(ip, 53).String(), nil
		}
	}

	return "", errors.New("cannot relay DNS: the node has no resolver in " + nodeResolvConf)
}

func relayPackets(ctx context.Context, packets net.PacketConn, upstream string) {
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

			if answer, err := ask(ctx, upstream, question[:n]); err == nil {
				_, _ = packets.WriteTo(answer, from)
			}
		})
	}
}

func ask(ctx context.Context, upstream string, question []byte) ([]byte, error) {
	dialer := net.Dialer{Timeout: answerLimit}

	conn, err := dialer.DialContext(ctx, "udp", upstream)
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, err
	}

	if _, err := conn.Write(question); err != nil {
		return nil, err
	}

	answer := make([]byte, messageSize)
	n, err := conn.Read(answer)

	return answer[:n], err
}

func relayStreams(ctx context.Context, streams net.Listener, upstream string) {
	var carrying sync.WaitGroup
	defer carrying.Wait()

	for {
		client, err := streams.Accept()
		if err != nil {
			return
		}

		carrying.Go(func() { carry(ctx, client, upstream) })
	}
}

func carry(ctx context.Context, client net.Conn, upstream string) {
	defer client.Close()

	dialer := net.Dialer{Timeout: answerLimit}

	server, err := dialer.DialContext(ctx, "tcp", upstream)
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
