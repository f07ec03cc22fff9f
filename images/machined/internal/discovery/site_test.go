package discovery_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/runtime"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/discovery"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/server"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clusterID = "the-cluster"
	patience  = time.Minute
)

// site is a cluster on loopback addresses, whose endpoint is pkitest's control plane.
type site struct {
	pki  *pkitest.Cluster
	port int
	// ttl is long, so that a busy machine makes nobody look dead, where a test does not wait for its end.
	ttl time.Duration
}

func newSite(t *testing.T, ttl time.Duration) site {
	t.Helper()

	return site{pki: pkitest.NewCluster(t), port: pkitest.FreePort(t), ttl: ttl}
}

func secret() string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32))) }

// config is a machine config with discovery, changed as the test wants it.
func (s site) config(t *testing.T, base config.Provider, change func(*v1alpha1.Config)) config.Provider {
	t.Helper()

	raw := base.RawV1Alpha1().DeepCopy()
	raw.ClusterConfig.ClusterID = clusterID
	raw.ClusterConfig.ClusterSecret = secret()
	raw.ClusterConfig.ClusterDiscoveryConfig = &v1alpha1.ClusterDiscoveryConfig{DiscoveryEnabled: new(true)}

	if change != nil {
		change(raw)
	}

	environment := runtime.NewEnvironmentV1Alpha1()
	environment.EnvironmentVariables = map[string]string{ttl.Variable: s.ttl.String()}

	made, err := container.New(raw, environment)
	if err != nil {
		t.Fatal(err)
	}

	return made
}

// server runs a control plane's server at an address until the test ends or it is stopped.
func (s site) server(t *testing.T, ip string) (stop func()) {
	t.Helper()

	cfg := s.config(t, s.pki.ControlPlaneConfig(), nil)
	store := s.pki.Store(t, cfg, pkitest.NewAddresses(ip+"/8"), slog.New(slog.DiscardHandler))

	return background(t, func(ctx context.Context) error {
		return server.Run(ctx, server.Options{
			Log:  slog.New(slog.DiscardHandler),
			Host: ip, Port: s.port, TLS: store.OpenTLS(), Config: func() config.Provider { return cfg },
		})
	})
}

// background is pkitest's, for what can be stopped before.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- run(ctx) }()

	stop = sync.OnceFunc(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)

	return stop
}

// settable is a machine config that a test changes.
type settable struct {
	mu      sync.Mutex
	current config.Provider
	changed chan struct{}
}

func (s *settable) Current() config.Provider {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.current
}

func (s *settable) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.changed
}

func (s *settable) set(next config.Provider) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.current = next
	close(s.changed)
	s.changed = make(chan struct{})
}

// node is one with a client of discovery.
type node struct {
	client *discovery.Client
	state  state.State
	config *settable
	known  string
	stop   func()
}

// who says what a node is.
type who struct {
	id, name, ip string
	controlPlane bool
	// known is the file of control planes; empty is a fresh one.
	known string
}

func (s site) node(t *testing.T, w who) *node {
	t.Helper()

	base := s.pki.WorkerConfig(pkitest.Token)
	if w.controlPlane {
		base = s.pki.ControlPlaneConfig()
	}

	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if w.known == "" {
		w.known = filepath.Join(t.TempDir(), "control-planes.yaml")
	}

	n := &node{state: st, known: w.known, config: &settable{current: s.config(t, base, nil), changed: make(chan struct{})}}
	n.client = discovery.New(discovery.Options{
		NodeID: w.id, Hostname: w.name, Version: "v1.2.3", IP: netip.MustParseAddr(w.ip),
		Addresses: pkitest.NewAddresses(w.ip + "/8"), Config: n.config, Port: s.port, KnownPath: w.known, State: st,
		Roots: func(public bool) (*tls.Config, error) {
			return machinepki.CallerTLS(n.config.Current().Machine().Security(), public)
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	n.stop = background(t, n.client.Run)

	return n
}

// members are the member IDs with their node IDs.
func (n *node) members(t *testing.T) map[string]string {
	t.Helper()

	list, err := safe.StateListAll[*cluster.Member](context.Background(), n.state)
	if err != nil {
		t.Fatal(err)
	}

	result := map[string]string{}
	for m := range list.All() {
		result[m.Metadata().ID()] = m.TypedSpec().NodeID
	}

	return result
}

// awaits waits until the nodes have exactly these members.
func awaits(t *testing.T, want map[string]string, nodes ...*node) {
	t.Helper()

	ctx := pkitest.Within(t, patience)

	for i, n := range nodes {
		events := make(chan state.Event)
		if err := n.state.WatchKind(ctx, cluster.NewMember(cluster.NamespaceName, "").Metadata(), events); err != nil {
			t.Fatal(err)
		}

		for diff := cmp.Diff(want, n.members(t)); diff != ""; diff = cmp.Diff(want, n.members(t)) {
			select {
			case <-events:
			case <-ctx.Done():
				t.Fatalf("members of node %d (-want +got):\n%s", i, diff)
			}
		}
	}
}

// never fails the test when the node loses a member before the answer's call.
func never(t *testing.T, n *node) (done func()) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	events := make(chan state.Event)

	if err := n.state.WatchKind(ctx, cluster.NewMember(cluster.NamespaceName, "").Metadata(), events); err != nil {
		t.Fatal(err)
	}

	var wait sync.WaitGroup

	wait.Go(func() {
		for {
			select {
			case e := <-events:
				if e.Type == state.Destroyed {
					t.Errorf("lost member %s", e.Resource.Metadata().ID())
				}
			case <-ctx.Done():
				return
			}
		}
	})

	return func() { cancel(); wait.Wait() }
}

func three() map[string]string {
	return map[string]string{"control-1": "id-c1", "control-2": "id-c2", "worker-1": "id-w1"}
}

// trio are two control planes with their servers, the first at the endpoint, and a worker.
func (s site) trio(t *testing.T) (nodes [3]*node, stopServers [2]func()) {
	t.Helper()

	stopServers = [2]func(){s.server(t, "127.0.0.1"), s.server(t, "127.0.0.2")}
	nodes = [3]*node{
		s.node(t, who{id: "id-c1", name: "control-1", ip: "127.0.0.1", controlPlane: true}),
		s.node(t, who{id: "id-c2", name: "control-2", ip: "127.0.0.2", controlPlane: true}),
		s.node(t, who{id: "id-w1", name: "worker-1", ip: "127.0.0.3"}),
	}

	awaits(t, three(), nodes[:]...)

	return nodes, stopServers
}
