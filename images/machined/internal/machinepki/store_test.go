package machinepki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/trustd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// addresses can be changed by a test.
type addresses struct {
	mu      sync.Mutex
	list    []netip.Prefix
	changed chan struct{}
}

func newAddresses(address string) *addresses {
	return &addresses{list: []netip.Prefix{netip.MustParsePrefix(address)}, changed: make(chan struct{})}
}

func (a *addresses) List() []netip.Prefix {
	a.mu.Lock()
	defer a.mu.Unlock()

	return a.list
}

func (a *addresses) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()

	return a.changed
}

func (a *addresses) add(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()

	a.list = append(a.list, netip.MustParsePrefix(address))
	close(a.changed)
	a.changed = make(chan struct{})
}

type cluster struct {
	ca   *sidero.CertificateAuthority
	port int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()

	ca, err := sidero.NewSelfSignedCertificateAuthority()
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	return &cluster{ca: ca, port: listener.Addr().(*net.TCPAddr).Port}
}

func (c *cluster) config(key []byte, token string) func() config.Provider {
	cfg := container.NewV1Alpha1(&v1alpha1.Config{
		MachineConfig: &v1alpha1.MachineConfig{
			MachineCA:       &sidero.PEMEncodedCertificateAndKey{Crt: c.ca.CrtPEM, Key: key},
			MachineToken:    token,
			MachineCertSANs: []string{"api.example.org", "192.0.2.9"},
		},
		ClusterConfig: &v1alpha1.ClusterConfig{ControlPlane: &v1alpha1.ControlPlaneConfig{
			Endpoint: &v1alpha1.Endpoint{URL: &url.URL{Scheme: "https", Host: "127.0.0.1:6443"}},
		}},
	})

	return func() config.Provider { return cfg }
}

// store runs a store until the test ends.
func (c *cluster) store(t *testing.T, cfg func() config.Provider, own *addresses) *machinepki.Store {
	t.Helper()

	store := machinepki.New(machinepki.Options{
		Config: cfg, Addresses: own, Hostname: "node", TrustdPort: c.port, Log: slog.New(slog.DiscardHandler),
	})
	background(t, store.Run)

	return store
}

func background(t *testing.T, run func(context.Context) error) {
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

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)

	return ctx
}

// served is the certificate that a client sees, after it checked it for name.
func (c *cluster) served(t *testing.T, store *machinepki.Store, name string) (*x509.Certificate, error) {
	t.Helper()

	pool := x509.NewCertPool()
	pool.AddCert(c.ca.Crt)

	listener, err := tls.Listen("tcp", "127.0.0.1:0", store.TrustdTLS())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	var wait sync.WaitGroup
	defer wait.Wait()

	wait.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			conn.Close()
		}
	})

	client, err := tls.Dial("tcp", listener.Addr().String(),
		&tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"h2"}})
	if err != nil {
		return nil, err
	}
	defer client.Close()

	return client.ConnectionState().PeerCertificates[0], nil
}

func TestAControlPlaneSignsForItsOwnNames(t *testing.T) {
	c := newCluster(t)
	store := c.store(t, c.config(c.ca.KeyPEM, "token"), newAddresses("10.5.0.2/24"))

	if err := store.Wait(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	cert, err := c.served(t, store, "10.5.0.2")
	if err != nil {
		t.Fatal(err)
	}

	var ips []string
	for _, ip := range cert.IPAddresses {
		ips = append(ips, ip.String())
	}

	if diff := cmp.Diff([]string{"127.0.0.1", "::1", "10.5.0.2", "192.0.2.9"}, ips); diff != "" {
		t.Error(diff)
	}

	if diff := cmp.Diff([]string{"node", "localhost", "api.example.org"}, cert.DNSNames); diff != "" {
		t.Error(diff)
	}

	if life := time.Until(cert.NotAfter); life > machinepki.Lifetime || life < machinepki.Lifetime-time.Hour {
		t.Errorf("it lives for %s", life)
	}
}

func TestANewAddressRenewsTheCertificate(t *testing.T) {
	c := newCluster(t)
	own := newAddresses("10.5.0.2/24")
	store := c.store(t, c.config(c.ca.KeyPEM, "token"), own)

	if err := store.Wait(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	own.add("10.6.0.2/24")

	ctx := within(t, 10*time.Second)
	for ctx.Err() == nil {
		if _, err := c.served(t, store, "10.6.0.2"); err == nil {
			return
		}
	}

	t.Error("the new address never got into the certificate")
}

func TestAWorkerWaitsForTrustdThenGetsItsCertificate(t *testing.T) {
	c := newCluster(t)
	worker := c.store(t, c.config(nil, "token"), newAddresses("127.0.0.2/8"))

	if err := worker.Wait(within(t, 300*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("without trustd: %v", err)
	}

	c.trustd(t)

	if err := worker.Wait(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	if _, err := c.served(t, worker, "127.0.0.2"); err != nil {
		t.Error(err)
	}

	if _, err := worker.ClientTLS(); !errors.Is(err, machinepki.ErrNoClientCertificate) {
		t.Errorf("a worker may call others: %v", err)
	}
}

func (c *cluster) trustd(t *testing.T) {
	t.Helper()

	cfg := c.config(c.ca.KeyPEM, "token")
	store := c.store(t, cfg, newAddresses("127.0.0.1/8"))

	background(t, func(ctx context.Context) error {
		return trustd.Run(ctx, trustd.Options{
			Host: "127.0.0.1", Port: c.port, PKI: store, Config: cfg, Hostname: "control", Log: slog.New(slog.DiscardHandler),
		})
	})
}

func TestTrustdRefusesAWrongToken(t *testing.T) {
	c := newCluster(t)
	c.trustd(t)

	reason := make(chan error, 1)
	store := machinepki.New(machinepki.Options{
		Config: c.config(nil, "wrong"), Addresses: newAddresses("127.0.0.2/8"), Hostname: "node", TrustdPort: c.port,
		Log: slog.New(&lastError{Handler: slog.NewTextHandler(io.Discard, nil), reason: reason}),
	})
	background(t, store.Run)

	ctx := within(t, 10*time.Second)
	for {
		select {
		case err := <-reason:
			// Before trustd listens, the reason is another.
			if status.Code(err) == codes.Unauthenticated {
				return
			}
		case <-ctx.Done():
			t.Fatal("the worker was not refused")
		}
	}
}

// lastError is a log that hands on the errors in it.
type lastError struct {
	slog.Handler
	reason chan<- error
}

func (l *lastError) Handle(ctx context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		if err, ok := attr.Value.Any().(error); ok {
			select {
			case l.reason <- err:
			case <-ctx.Done():
			}
		}

		return true
	})

	return nil
}
