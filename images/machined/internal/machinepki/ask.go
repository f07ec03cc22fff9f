package machinepki

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/siderolabs/talos/pkg/machinery/api/security"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/bronze-os/bronze/images/boot"
)

// trustdCall is one call of trustd. It has a connection of its own, for the next is half a day away.
type trustdCall struct {
	address string
	// source is the node's address to call from: trustd signs for that one only. Nil leaves it to the kernel.
	source net.Addr
	tls    *tls.Config
	token  string
}

// certificate has trustd sign the request, within askLimit.
func (c trustdCall) certificate(ctx context.Context, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()

	dialer := &net.Dialer{LocalAddr: c.source}

	conn, err := grpc.NewClient("passthrough:///"+c.address,
		grpc.WithTransportCredentials(credentials.NewTLS(c.tls)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}),
		grpc.WithPerRPCCredentials(tokenCredentials(c.token)))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client: %w", err)
	}
	defer conn.Close()

	response, err := security.NewSecurityServiceClient(conn).Certificate(ctx, &security.CertificateRequest{Csr: request})
	if err != nil {
		return nil, err
	}

	return response.Crt, nil
}

func trustdAddress(host string, port int) string {
	if port == 0 {
		port = boot.TrustdPort
	}

	return net.JoinHostPort(host, strconv.Itoa(port))
}

// sourceFor is the node's first address of the same family as the host's.
func sourceFor(host string, own []netip.Prefix) net.Addr {
	remote, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}

	for _, address := range own {
		if address.Addr().Is4() == remote.Is4() {
			return &net.TCPAddr{IP: address.Addr().AsSlice()}
		}
	}

	return nil
}

// tokenCredentials send the machine token as Talos's nodes do: bare, in the metadata "token".
type tokenCredentials string

// GetRequestMetadata is part of credentials.PerRPCCredentials.
func (t tokenCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"token": string(t)}, nil
}

// RequireTransportSecurity keeps the token off a plain connection.
func (tokenCredentials) RequireTransportSecurity() bool { return true }
