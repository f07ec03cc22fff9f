// Package operatetest has a cluster in memory for tests of what is done to nodes: real gRPC over mutual TLS on loopback,
// one endpoint that passes calls on to its nodes, and nodes that behave: they keep the config that they are given, come
// back from a reboot as another run, and do not answer while they are down. It is for tests only.
package operatetest

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/siderolabs/crypto/x509"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The nodes of every cluster. Nobody answers at Dead.
const (
	ControlPlane = "10.5.0.2"
	Worker       = "10.5.0.3"
	Dead         = "10.5.0.9"
)

// Cluster is one control plane and one worker behind one endpoint.
type Cluster struct {
	// Endpoint is the host:port of the machine API.
	Endpoint string
	nodes    map[string]*Node
	secrets  *secrets.Bundle
}

// Start runs a cluster until the test ends.
func Start(t testing.TB) *Cluster {
	t.Helper()
	bundle, err := secrets.NewBundle(secrets.NewFixedClock(time.Now()), nil)
	must(t, err)
	c := &Cluster{secrets: bundle, nodes: map[string]*Node{}}
	for _, address := range []string{ControlPlane, Worker} {
		c.nodes[address] = newNode(t, address, baseConfig)
	}
	listener := listen(t)
	c.Endpoint = listener.Addr().String()
	serve(t, listener, c.serverTLS(t), c)
	return c
}

// Node is the node at an address.
func (c *Cluster) Node(address string) *Node {
	return c.nodes[address]
}

// Talosconfig is a client config with one context, dev, that may do everything and means the nodes.
func (c *Cluster) Talosconfig(t testing.TB, nodes ...string) *clientconfig.Config {
	t.Helper()
	certificate, err := c.secrets.GenerateTalosAPIClientCertificate(role.MakeSet(role.Admin))
	must(t, err)
	config := clientconfig.NewConfig("dev", []string{c.Endpoint}, c.secrets.Certs.OS.Crt, certificate)
	config.Contexts["dev"].Nodes = nodes
	return config
}

// router finds the node that a call is for.
type router interface {
	route(ctx context.Context) (*Node, error)
}

func (c *Cluster) route(ctx context.Context) (*Node, error) {
	address := ControlPlane
	if values := metadata.ValueFromIncomingContext(ctx, "node"); len(values) > 0 {
		address = values[0]
	}
	found, there := c.nodes[address]
	if !there || found.isDown() {
		return nil, status.Errorf(codes.Unavailable, "connection error: desc = \"transport: Error while dialing: dial tcp %s:50000: connect: no route to host\"", address)
	}
	return found, nil
}

func (c *Cluster) serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(c.secrets.Certs.OS)
	must(t, err)
	clients := stdx509.NewCertPool()
	clients.AddCert(authority.Crt)
	return &tls.Config{
		Certificates: []tls.Certificate{certificate(t, authority)},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
}

func certificate(t testing.TB, authority *x509.CertificateAuthority) tls.Certificate {
	t.Helper()
	pair, err := x509.NewKeyPair(authority, x509.IPAddresses([]net.IP{net.IPv4(127, 0, 0, 1)}),
		x509.NotAfter(time.Now().Add(time.Hour)), x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth}))
	must(t, err)
	return *pair.Certificate
}

func serve(t testing.TB, listener net.Listener, config *tls.Config, nodes router) {
	t.Helper()
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	machine.RegisterMachineServiceServer(server, &machineServer{nodes: nodes})
	timeapi.RegisterTimeServiceServer(server, &timeServer{nodes: nodes})
	clusterapi.RegisterClusterServiceServer(server, &clusterServer{nodes: nodes})
	v1alpha1.RegisterStateServer(server, &stateServer{nodes: nodes})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	return listener
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Maintenance is a node that has no machine config yet: it asks for no client certificate.
type Maintenance struct {
	// Address is its host:port, Fingerprint that of its certificate.
	Address, Fingerprint string
	*Node
}

func (m *Maintenance) route(context.Context) (*Node, error) {
	return m.Node, nil
}

// StartMaintenance runs a node in maintenance mode until the test ends.
func StartMaintenance(t testing.TB) *Maintenance {
	t.Helper()
	authority, err := x509.NewSelfSignedCertificateAuthority(x509.ECDSA(true))
	must(t, err)
	own := certificate(t, authority)
	fingerprint, err := x509.SPKIFingerprintFromDER(own.Certificate[0])
	must(t, err)
	listener := listen(t)
	m := &Maintenance{Address: listener.Addr().String(), Fingerprint: fmt.Sprint(fingerprint), Node: newNode(t, "10.5.0.4", "")}
	serve(t, listener, &tls.Config{Certificates: []tls.Certificate{own}}, m)
	return m
}
