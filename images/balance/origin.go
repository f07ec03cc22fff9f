package balance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// A server behind a balancer sees the balancer's address. To one that must know its clients' the balancer announces
// them first, in the one line of the PROXY protocol's version 1
// (https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt).

// maxAnnouncement is the longest line that the protocol allows, in bytes, with its end.
const maxAnnouncement = 107

// Announcing lets the balancer tell every upstream first whose connection it carries. The upstreams must listen through
// AcceptOrigin.
func (b *Balancer) Announcing() *Balancer {
	b.announced = true

	return b
}

func writeOrigin(server, client net.Conn) error {
	from, fromErr := netip.ParseAddrPort(client.RemoteAddr().String())
	to, toErr := netip.ParseAddrPort(client.LocalAddr().String())

	if err := errors.Join(fromErr, toErr); err != nil {
		return fmt.Errorf("cannot tell where a connection comes from: %w", err)
	}

	_, err := io.WriteString(server, announcement(from, to))

	return err
}

func announcement(from, to netip.AddrPort) string {
	family := "TCP6"
	if from.Addr().Unmap().Is4() {
		family = "TCP4"
	}

	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, from.Addr().Unmap(), to.Addr().Unmap(), from.Port(), to.Port())
}

// parseAnnouncement reads the line, without its end.
func parseAnnouncement(line string) (netip.AddrPort, error) {
	fields := strings.Split(line, " ")
	if len(fields) != 6 || fields[0] != "PROXY" || (fields[1] != "TCP4" && fields[1] != "TCP6") {
		return netip.AddrPort{}, fmt.Errorf("cannot read where a connection comes from: %q", line)
	}

	from, err := netip.ParseAddrPort(net.JoinHostPort(fields[2], fields[4]))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot read where a connection comes from: %w", err)
	}

	return from, nil
}

// AcceptOrigin wraps a listener whose clients may come through an announcing balancer: connections from an address that
// trusted accepts begin with the announcement and have the announced RemoteAddr. All others are as they were.
func AcceptOrigin(listener net.Listener, trusted func(netip.Addr) bool) net.Listener {
	return originListener{Listener: listener, trusted: trusted}
}

type originListener struct {
	net.Listener

	trusted func(netip.Addr) bool
}

// Accept does not wait for the announcement, so that a silent client does not keep others out.
func (l originListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	if peer, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && l.trusted(peer.Addr().Unmap()) {
		return &originConn{Conn: conn}, nil
	}

	return conn, nil
}

// originConn reads the announcement when somebody first reads, or asks who the peer is. The server's own deadline for a
// handshake bounds that.
type originConn struct {
	net.Conn

	once sync.Once
	from netip.AddrPort
	err  error
}

// Read reads what comes after the announcement.
func (c *originConn) Read(into []byte) (int, error) {
	c.once.Do(c.learn)

	if c.err != nil {
		return 0, c.err
	}

	return c.Conn.Read(into)
}

// RemoteAddr is the announced address, and the balancer's own where it announced none.
func (c *originConn) RemoteAddr() net.Addr {
	c.once.Do(c.learn)

	if c.err != nil {
		return c.Conn.RemoteAddr()
	}

	return net.TCPAddrFromAddrPort(c.from)
}

func (c *originConn) learn() {
	line, err := readLine(c.Conn)
	if err == nil {
		c.from, err = parseAnnouncement(line)
	}

	c.err = err
}

// readLine reads a byte at a time, as what comes after the line is not ours.
func readLine(from io.Reader) (string, error) {
	line := make([]byte, 0, maxAnnouncement)

	for len(line) < maxAnnouncement {
		next := line[len(line) : len(line)+1]
		if _, err := io.ReadFull(from, next); err != nil {
			return "", fmt.Errorf("cannot read where a connection comes from: %w", err)
		}

		line = line[:len(line)+1]
		if text, ended := strings.CutSuffix(string(line), "\r\n"); ended {
			return text, nil
		}
	}

	return "", fmt.Errorf("cannot read where a connection comes from: %q is too long", line)
}
