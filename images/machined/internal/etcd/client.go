package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// askLimit bounds one question to a member.
const askLimit = 5 * time.Second

// Client asks one member of the cluster. Dial makes one.
type Client struct {
	etcdserverpb.ClusterClient
	etcdserverpb.MaintenanceClient

	conn *grpc.ClientConn
}

// Dial makes a client of the member that serves at address (host:port), as this node's administrator. It does not
// connect yet.
func (m Member) Dial(address string) (*Client, error) {
	config, err := m.tls("admin")
	if err != nil {
		return nil, err
	}

	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of etcd at %s: %w", address, err)
	}

	return &Client{etcdserverpb.NewClusterClient(conn), etcdserverpb.NewMaintenanceClient(conn), conn}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// ask puts one question to the member at address.
func (m Member) ask(ctx context.Context, address string, question func(context.Context, *Client) error) error {
	client, err := m.Dial(address)
	if err != nil {
		return err
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()

	if err := question(ctx, client); err != nil {
		return fmt.Errorf("asking etcd at %s: %w", address, err)
	}

	return nil
}

// Healthy asks the member on this node whether it has a leader and can write.
func (m Member) Healthy(ctx context.Context) error {
	config, err := m.tls("admin")
	if err != nil {
		return err
	}

	response, err := get(ctx, config, "https://"+ClientAddress(m.IP.String())+"/health")
	if err != nil {
		return fmt.Errorf("asking etcd for its health: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd is not healthy: %s", response.Status)
	}

	return nil
}

// get asks once, with a connection of its own: the certificates may be others the next time.
func get(ctx context.Context, config *tls.Config, url string) (*http.Response, error) {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}

	return transport.RoundTrip(request)
}

// tls shows one of the member's certificates: admin to clients' ports, peer to peers'.
func (m Member) tls(name string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(m.secret(name+".crt"), m.secret(name+".key"))
	if err != nil {
		return nil, fmt.Errorf("cannot load etcd's %s certificate: %w", name, err)
	}

	ca, err := os.ReadFile(m.secret("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("cannot read etcd's certificate authority: %w", err)
	}

	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("cannot use etcd's certificate authority: no certificate in it")
	}

	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
