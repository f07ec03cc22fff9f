// Package pkitest is a cluster's worth of certificates for tests of what serves TLS: a CA, the machine configs of its
// nodes, and addresses that a test can change. Only tests may import it.
package pkitest

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/trustd"
)

// Token is the machine token that the cluster's control plane believes.
const Token = "abcdef.0123456789abcdef"

// ControlPlane is the address of the cluster's control plane.
const ControlPlane = "127.0.0.1"

// Cluster is a CA and the port that its control plane's trustd serves on.
type Cluster struct {
	CA         *sidero.CertificateAuthority
	TrustdPort int
}

// NewCluster makes a CA.
func NewCluster(t *testing.T) *Cluster {
	t.Helper()

	return &Cluster{CA: NewCA(t), TrustdPort: FreePort(t)}
}

// NewCA makes a CA that signs for itself.
func NewCA(t *testing.T) *sidero.CertificateAuthority {
	t.Helper()

	ca, err := sidero.NewSelfSignedCertificateAuthority(sidero.Organization("talos"))
	if err != nil {
		t.Fatal(err)
	}

	return ca
}

// FreePort answers a port of the control plane that nobody listens on.
func FreePort(t *testing.T) int {
	t.Helper()

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(ControlPlane, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	return listener.Addr().(*net.TCPAddr).Port
}

// Pool holds the cluster's CA.
func (c *Cluster) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.CA.Crt)

	return pool
}

// ControlPlaneConfig is the machine config of a node that has the CA's key.
func (c *Cluster) ControlPlaneConfig() config.Provider {
	return c.config("controlplane", c.CA.KeyPEM, Token)
}

// WorkerConfig is the machine config of a node that has a token only.
func (c *Cluster) WorkerConfig(token string) config.Provider {
	return c.config("worker", nil, token)
}

func (c *Cluster) config(kind string, key []byte, token string) config.Provider {
	return container.NewV1Alpha1(&v1alpha1.Config{
		ConfigVersion: "v1alpha1",
		MachineConfig: &v1alpha1.MachineConfig{
			MachineType:     kind,
			MachineCA:       &sidero.PEMEncodedCertificateAndKey{Crt: c.CA.CrtPEM, Key: key},
			MachineToken:    token,
			MachineCertSANs: []string{"api.example.org", "192.0.2.9"},
		},
		ClusterConfig: &v1alpha1.ClusterConfig{ControlPlane: &v1alpha1.ControlPlaneConfig{
			Endpoint: &v1alpha1.Endpoint{URL: &url.URL{Scheme: "https", Host: net.JoinHostPort(ControlPlane, "6443")}},
		}},
	})
}

// Store runs a store of certificates until the test ends.
func (c *Cluster) Store(t *testing.T, cfg config.Provider, own *Addresses, log *slog.Logger) *machinepki.Store {
	t.Helper()

	store := machinepki.New(machinepki.Options{
		Config: func() config.Provider { return cfg }, Addresses: own, Hostname: "node", TrustdPort: c.TrustdPort, Log: log,
	})
	Background(t, store.Run)

	return store
}

// Trustd runs the control plane's trustd until the test ends.
func (c *Cluster) Trustd(t *testing.T) {
	t.Helper()

	cfg := c.ControlPlaneConfig()
	store := c.Store(t, cfg, NewAddresses(ControlPlane+"/8"), slog.New(slog.DiscardHandler))

	Background(t, func(ctx context.Context) error {
		return trustd.Run(ctx, trustd.Options{
			Host: ControlPlane, Port: c.TrustdPort, PKI: store, Hostname: "control", Log: slog.New(slog.DiscardHandler),
			Config: func() config.Provider { return cfg },
		})
	})
}

// Background runs something until the test ends, and waits for it.
func Background(t *testing.T, run func(context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- run(ctx) }()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Within is a context that ends with the test, or after limit.
func Within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)

	return ctx
}

// Addresses are a node's, which a test can add to.
type Addresses struct {
	mu      sync.Mutex
	list    []netip.Prefix
	changed chan struct{}
}

// NewAddresses makes a node's first address.
func NewAddresses(address string) *Addresses {
	return &Addresses{list: []netip.Prefix{netip.MustParsePrefix(address)}, changed: make(chan struct{})}
}

// List is part of machinepki.Addresses.
func (a *Addresses) List() []netip.Prefix {
	a.mu.Lock()
	defer a.mu.Unlock()

	return a.list
}

// Changed is part of machinepki.Addresses.
func (a *Addresses) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()

	return a.changed
}

// Add gives the node another address.
func (a *Addresses) Add(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()

	a.list = append(a.list, netip.MustParsePrefix(address))
	close(a.changed)
	a.changed = make(chan struct{})
}
