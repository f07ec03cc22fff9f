package maintenance_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
	"github.com/bronze-os/bronze/images/machined/internal/maintenance"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one in maintenance mode, on loopback.
type node struct {
	port        int
	certificate tls.Certificate
	// asked holds the requests that reached Configure, which answers answer.
	asked  chan apply.Request
	answer error
}

func start(t *testing.T) *node {
	t.Helper()

	certificate, err := maintenance.Certificate("node", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")})
	if err != nil {
		t.Fatal(err)
	}

	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	hostname := network.NewHostnameStatus(network.NamespaceName, network.HostnameID)
	hostname.TypedSpec().Hostname = "node"

	if err := st.Create(t.Context(), hostname); err != nil {
		t.Fatal(err)
	}

	n := &node{port: pkitest.FreePort(t), certificate: certificate, asked: make(chan apply.Request, 1)}

	pkitest.Background(t, func(ctx context.Context) error {
		return maintenance.Run(ctx, maintenance.Options{
			Log:  slog.New(slog.DiscardHandler),
			Host: "127.0.0.1", Port: n.port, Certificate: certificate,
			Register: func(registrar grpc.ServiceRegistrar) {
				machineapi.Register(registrar, machineapi.Options{
					Services: service.New(t.Context()), Events: events.New(), Configure: n.configure, Hostname: "node",
					Version: machineapi.Version{Talos: "v1.13.3"}, Log: slog.New(slog.DiscardHandler),
				})
				resources.Register(registrar, st, nil)
			},
		})
	})

	return n
}

func (n *node) configure(_ context.Context, request apply.Request) (apply.Plan, error) {
	n.asked <- request
	return apply.Plan{Mode: apply.NoReboot, First: true}, n.answer
}

// client is machinery's as `talosctl --insecure` makes it; with fingerprints it believes the nodes of these only.
func (n *node) client(t *testing.T, fingerprints ...string) *client.Client {
	t.Helper()

	config := &tls.Config{InsecureSkipVerify: true}

	if len(fingerprints) > 0 {
		var parsed []sidero.Fingerprint

		for _, text := range fingerprints {
			fingerprint, err := sidero.ParseFingerprint(text)
			if err != nil {
				t.Fatal(err)
			}

			parsed = append(parsed, fingerprint)
		}

		config.VerifyConnection = sidero.MatchSPKIFingerprints(parsed...)
	}

	c, err := client.New(t.Context(), client.WithTLSConfig(config),
		client.WithEndpoints(net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port))))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { c.Close() })

	return c
}

func limited(t *testing.T) context.Context { return pkitest.Within(t, 20*time.Second) }

func TestStrangersReadWhatIsNoSecret(t *testing.T) {
	c := start(t).client(t)

	version, err := c.Version(limited(t), grpc.WaitForReady(true))
	if err != nil || version.Messages[0].Version.Tag != "v1.13.3" {
		t.Errorf("version: %v, %v", version, err)
	}

	hostname, err := safe.StateGetByID[*network.HostnameStatus](limited(t), c.COSI, network.HostnameID)
	if err != nil || hostname.TypedSpec().Hostname != "node" {
		t.Errorf("host name: %v, %v", hostname, err)
	}

	if _, err := c.COSI.Get(limited(t), secrets.NewOSRoot(secrets.OSRootID).Metadata()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a secret: %v", err)
	}
}

func TestStrangersMayDoNothingElse(t *testing.T) {
	c := start(t).client(t)
	ctx := limited(t)

	if _, err := c.Version(ctx, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}

	for name, call := range map[string]func() error{
		"reboot":    func() error { return c.Reboot(ctx) },
		"bootstrap": func() error { return c.Bootstrap(ctx, &machine.BootstrapRequest{}) },
		"processes": func() error { _, err := c.Processes(ctx); return err },
		"kubeconfig": func() error {
			_, err := c.Kubeconfig(ctx)
			return err
		},
		"logs": func() error {
			stream, err := c.Logs(ctx, "system", common.ContainerDriver_CONTAINERD, "machined", false, -1)
			if err != nil {
				return err
			}

			_, err = stream.Recv()

			return err
		},
	} {
		if err := call(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigReachesTheNodeThatTheFingerprintNames(t *testing.T) {
	n := start(t)
	request := &machine.ApplyConfigurationRequest{Data: []byte("a config"), Mode: apply.Auto}

	other, err := maintenance.Certificate("other", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := n.client(t, maintenance.Fingerprint(other)).ApplyConfiguration(limited(t), request); err == nil {
		t.Error("another node's fingerprint was believed")
	}

	answer, err := n.client(t, maintenance.Fingerprint(n.certificate)).ApplyConfiguration(limited(t), request)
	if err != nil {
		t.Fatal(err)
	}

	if got := <-n.asked; string(got.Document) != "a config" {
		t.Errorf("arrived: %q", got.Document)
	}

	if answer.Messages[0].Mode != apply.NoReboot || answer.Messages[0].ModeDetails == "" {
		t.Errorf("answer: %v", answer)
	}
}

func TestErrorsOfAConfigHaveTheirCodes(t *testing.T) {
	for want, cause := range map[codes.Code]error{
		codes.InvalidArgument:    &apply.InvalidError{Problems: []string{"one", "two"}},
		codes.FailedPrecondition: &apply.MaintenanceError{Mode: apply.Try},
		codes.Internal:           errors.New("a full disk"),
	} {
		t.Run(want.String(), func(t *testing.T) {
			n := start(t)
			n.answer = cause

			_, err := n.client(t).ApplyConfiguration(limited(t), &machine.ApplyConfigurationRequest{})
			if status.Code(err) != want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOversizedRequestIsRefusedBeforeItIsRead(t *testing.T) {
	n := start(t)

	_, err := n.client(t).ApplyConfiguration(limited(t), &machine.ApplyConfigurationRequest{
		Data: bytes.Repeat([]byte("#"), config.MaxSize+1<<20),
	})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}

	if len(n.asked) > 0 {
		t.Error("the node was asked all the same")
	}
}
