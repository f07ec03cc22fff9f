package apid_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	runtimeres "github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/bronze-os/bronze/images/machined/internal/apid"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/addresses"
	"github.com/bronze-os/bronze/images/machined/internal/resources/settings"
	"github.com/bronze-os/bronze/images/machined/internal/ring"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

const (
	controlPlane = pkitest.ControlPlane
	worker       = "127.0.0.2"
	dead         = "127.0.0.3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a control plane and a worker, each all that apid serves on a loopback address of its own.
type cluster struct {
	*pkitest.Cluster
	// signer signs the clients' certificates.
	signer *sidero.CertificateAuthority
	port   int
	nodes  map[string]*node
}

// node is what a test sees of one, and the sequencer of it.
type node struct {
	address  string
	config   config.Provider
	events   *events.Log
	log      *ring.Buffer
	services *service.Supervisor
	asked    chan bool
	// open makes every caller an administrator of the node.
	open atomic.Bool
}

func (n *node) Bootstrap(_ context.Context, options machineapi.BootstrapOptions) error {
	n.asked <- options.Recover
	return nil
}
func (n *node) Shutdown(context.Context) error { return nil }
func (n *node) Reboot(context.Context) error   { return nil }

func (n *node) Reset(context.Context, machineapi.ResetOptions) error { return nil }

func startCluster(t *testing.T) *cluster {
	t.Helper()

	base := pkitest.NewCluster(t)
	base.Trustd(t)

	c := &cluster{Cluster: base, signer: base.CA, port: pkitest.FreePort(t), nodes: map[string]*node{}}
	c.start(t, controlPlane, base.ControlPlaneConfig())
	c.start(t, worker, base.WorkerConfig(pkitest.Token))

	return c
}

// start starts a node, and returns when it serves.
func (c *cluster) start(t *testing.T, address string, cfg config.Provider) {
	t.Helper()

	n := &node{
		address: address, config: cfg, events: events.New(), log: ring.New(1 << 10), services: service.New(t.Context()),
		asked: make(chan bool, 1),
	}
	c.nodes[address] = n

	n.services.AddLog("machined", n.log)
	n.services.Add(service.Spec{ID: "kubelet", Run: func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return nil }})

	pki := c.Store(t, cfg, pkitest.NewAddresses(address+"/8"), slog.New(slog.DiscardHandler))
	c.serve(t, n, pki)

	if err := pki.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}

	// The certificate is there a moment before apid listens.
	if _, err := c.clientAt(t, address, role.Admin).Version(limited(t), grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}

	if err := n.services.Start("kubelet"); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := n.services.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// serve runs the node's resources and its apid.
func (c *cluster) serve(t *testing.T, n *node, pki *machinepki.Store) {
	t.Helper()

	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	watcher, err := addresses.Open()
	if err != nil {
		t.Fatal(err)
	}

	stage := resources.NewStage()
	stage.Set(runtimeres.MachineStageRunning)

	// Kubernetes says that the node works; without that it is not ready.
	kubernetes := k8s.NewNodeStatus(k8s.NamespaceName, n.hostname())
	kubernetes.TypedSpec().Nodename, kubernetes.TypedSpec().NodeReady = n.hostname(), true

	if err := st.Create(t.Context(), kubernetes); err != nil {
		t.Fatal(err)
	}

	pkitest.Background(t, watcher.Run)
	pkitest.Background(t, func(ctx context.Context) error {
		return resources.Run(ctx, resources.Options{
			State: st, Services: n.services, Events: n.events, Addresses: watcher, Stage: stage, Log: slog.New(slog.DiscardHandler),
			Settings: func() settings.Node {
				return settings.Node{Config: n.config, Hostname: n.hostname(), Images: func(component string) string { return component }}
			},
		})
	})
	pkitest.Background(t, func(ctx context.Context) error {
		return apid.Run(ctx, apid.Options{
			Log:  slog.New(slog.DiscardHandler),
			Host: n.address, Port: c.port, PKI: pki,
			IsLocal: func(target string) bool { return target == n.address },
			Worker:  n.address != controlPlane,
			Open:    n.open.Load,
			Resolve: func(_ context.Context, name string) (netip.Addr, bool) {
				address, err := netip.ParseAddr(strings.TrimPrefix(name, "node-"))
				return address, err == nil
			},
			Register: func(registrar grpc.ServiceRegistrar) {
				machineapi.Register(registrar, n.api())
				resources.Register(registrar, st, nil)
			},
		})
	})
}

func (n *node) hostname() string { return "node-" + n.address }

func (n *node) api() machineapi.Options {
	return machineapi.Options{
		Services: n.services, Events: n.events, Sequencer: n, Hostname: n.hostname(), Log: slog.New(slog.DiscardHandler),
		Version:    machineapi.Version{Talos: "v1.13.3", Bronze: "v0.1.0", Platform: "container"},
		Kubeconfig: func() ([]byte, error) { return []byte("kubeconfig of " + n.address), nil },
	}
}

// client is machinery's own, at the control plane, with a certificate of the given roles; without any it has none.
func (c *cluster) client(t *testing.T, roles ...role.Role) *client.Client {
	t.Helper()

	return c.clientAt(t, controlPlane, roles...)
}

func (c *cluster) clientAt(t *testing.T, endpoint string, roles ...role.Role) *client.Client {
	t.Helper()

	tlsConfig := &tls.Config{RootCAs: c.Pool()}

	if len(roles) > 0 {
		set := role.MakeSet(roles...)

		pair, err := sidero.NewKeyPair(c.signer, sidero.Organization(set.Strings()...), sidero.NotAfter(time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}

		tlsConfig.Certificates = []tls.Certificate{*pair.Certificate}
	}

	result, err := client.New(t.Context(),
		client.WithEndpoints(net.JoinHostPort(endpoint, strconv.Itoa(c.port))),
		client.WithTLSConfig(tlsConfig))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { result.Close() })

	return result
}

func limited(t *testing.T) context.Context {
	t.Helper()

	return pkitest.Within(t, 20*time.Second)
}
