package machinepki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store runs a node's store that tells nobody what goes wrong.
func store(t *testing.T, c *pkitest.Cluster, cfg config.Provider, own *pkitest.Addresses) *machinepki.Store {
	t.Helper()

	return c.Store(t, cfg, own, slog.New(slog.DiscardHandler))
}

// served is the certificate that a client sees, after it checked it for name.
func served(t *testing.T, c *pkitest.Cluster, store *machinepki.Store, name string) (*x509.Certificate, error) {
	t.Helper()

	listener, err := tls.Listen("tcp", "127.0.0.1:0", store.OpenTLS())
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
		&tls.Config{RootCAs: c.Pool(), ServerName: name, NextProtos: []string{"h2"}})
	if err != nil {
		return nil, err
	}
	defer client.Close()

	return client.ConnectionState().PeerCertificates[0], nil
}

func TestAControlPlaneSignsForItsOwnNames(t *testing.T) {
	c := pkitest.NewCluster(t)
	node := store(t, c, c.ControlPlaneConfig(), pkitest.NewAddresses("10.5.0.2/24"))

	if err := node.Wait(pkitest.Within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	cert, err := served(t, c, node, "10.5.0.2")
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
	c := pkitest.NewCluster(t)
	own := pkitest.NewAddresses("10.5.0.2/24")
	node := store(t, c, c.ControlPlaneConfig(), own)

	if err := node.Wait(pkitest.Within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	own.Add("10.6.0.2/24")

	ctx := pkitest.Within(t, 10*time.Second)
	for ctx.Err() == nil {
		if _, err := served(t, c, node, "10.6.0.2"); err == nil {
			return
		}
	}

	t.Error("the new address never got into the certificate")
}

// configs is a machine config that a test changes.
type configs struct {
	mu      sync.Mutex
	current config.Provider
	changed chan struct{}
}

func (c *configs) Current() config.Provider {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.current
}

func (c *configs) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.changed
}

func (c *configs) patch(t *testing.T, patcher func(*v1alpha1.Config)) {
	t.Helper()

	c.mu.Lock()
	defer c.mu.Unlock()

	next, err := c.current.PatchV1Alpha1(func(document *v1alpha1.Config) error {
		patcher(document)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	c.current = next
	close(c.changed)
	c.changed = make(chan struct{})
}

func TestANewNameInTheConfigRenewsTheCertificate(t *testing.T) {
	c := pkitest.NewCluster(t)
	settings := &configs{current: c.ControlPlaneConfig(), changed: make(chan struct{})}

	s := machinepki.New(machinepki.Options{
		Config: settings.Current, Changed: settings.Changed, Addresses: pkitest.NewAddresses("10.0.0.1/24"),
		Hostname: "node", Log: slog.New(slog.DiscardHandler),
	})
	pkitest.Background(t, s.Run)

	if err := s.Wait(pkitest.Within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}

	first, err := served(t, c, s, "node")
	if err != nil {
		t.Fatal(err)
	}

	settings.patch(t, func(document *v1alpha1.Config) {
		document.MachineConfig.MachineNodeLabels = map[string]string{"a": "b"}
	})
	settings.patch(t, func(document *v1alpha1.Config) {
		document.MachineConfig.MachineCertSANs = append(document.MachineConfig.MachineCertSANs, "new.example.org")
	})

	limit := pkitest.Within(t, time.Minute)

	for {
		certificate, err := served(t, c, s, "new.example.org")
		if err == nil {
			if certificate.SerialNumber.Cmp(first.SerialNumber) == 0 {
				t.Error("the certificate is the one before")
			}

			return
		}

		select {
		case <-time.After(10 * time.Millisecond):
		case <-limit.Done():
			t.Fatal(err)
		}
	}
}

func TestAWorkerWaitsForTrustdThenGetsItsCertificate(t *testing.T) {
	c := pkitest.NewCluster(t)
	worker := store(t, c, c.WorkerConfig(pkitest.Token), pkitest.NewAddresses("127.0.0.2/8"))

	if err := worker.Wait(pkitest.Within(t, 300*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("without trustd: %v", err)
	}

	c.Trustd(t)

	if err := worker.Wait(pkitest.Within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	if _, err := served(t, c, worker, "127.0.0.2"); err != nil {
		t.Error(err)
	}

	if _, err := worker.ClientTLS(); !errors.Is(err, machinepki.ErrNoClientCertificate) {
		t.Errorf("a worker may call others: %v", err)
	}
}

func TestAWorkerAsksTheNextControlPlaneWhereOneIsGone(t *testing.T) {
	tests := []struct {
		name  string
		known []netip.Addr
	}{
		{"none is known but the endpoint", nil},
		{"the first is gone", []netip.Addr{netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr(pkitest.ControlPlane)}},
		{"all that are known are gone", []netip.Addr{netip.MustParseAddr("127.0.0.9")}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := pkitest.NewCluster(t)
			c.Trustd(t)

			worker := machinepki.New(machinepki.Options{
				Config: func() config.Provider { return c.WorkerConfig(pkitest.Token) }, Hostname: "node",
				Addresses: pkitest.NewAddresses("127.0.0.2/8"), TrustdPort: c.TrustdPort, Log: slog.New(slog.DiscardHandler),
				ControlPlanes: func() []netip.Addr { return test.known },
			})
			pkitest.Background(t, worker.Run)

			if err := worker.Wait(pkitest.Within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTrustdRefusesAWrongToken(t *testing.T) {
	c := pkitest.NewCluster(t)
	c.Trustd(t)

	reason := make(chan error, 1)
	log := slog.New(&lastError{Handler: slog.DiscardHandler, reason: reason})
	c.Store(t, c.WorkerConfig("wrong"), pkitest.NewAddresses("127.0.0.2/8"), log)

	ctx := pkitest.Within(t, 10*time.Second)
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

// Enabled is part of slog.Handler.
func (l *lastError) Enabled(context.Context, slog.Level) bool { return true }

// Handle is part of slog.Handler.
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

func TestWhatIsToldIsWhatIsServed(t *testing.T) {
	c := pkitest.NewCluster(t)
	own := pkitest.NewAddresses("10.5.0.2/24")
	node := store(t, c, c.ControlPlaneConfig(), own)

	if err := node.Wait(pkitest.Within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	for _, address := range []string{"10.5.0.2", "10.6.0.2"} {
		renewed := node.Renewed()

		told, err := node.Told()
		if err != nil {
			t.Fatal(err)
		}

		pair, err := tls.X509KeyPair(told.Server.Crt, told.Server.Key)
		if err != nil {
			t.Fatal(err)
		}

		if err := pair.Leaf.VerifyHostname(address); err != nil || told.Client == nil || len(told.AcceptedCAs) == 0 {
			t.Fatalf("%v; there is a client certificate: %t; authorities: %d", err, told.Client != nil, len(told.AcceptedCAs))
		}

		own.Add("10.6.0.2/24")

		if address == "10.5.0.2" {
			<-renewed
		}
	}
}
