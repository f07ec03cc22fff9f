package apid_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/google/go-cmp/cmp"
	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	runtimeres "github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	serviceres "github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/apid"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/addresses"
	"github.com/bronze-os/bronze/images/machined/internal/ring"
	"github.com/bronze-os/bronze/images/machined/internal/service"
	"github.com/bronze-os/bronze/images/machined/internal/trustd"
)

const (
	controlPlane = "127.0.0.1"
	worker       = "127.0.0.2"
	dead         = "127.0.0.3"
	token        = "abcdef.0123456789abcdef"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a control plane and a worker, each all that apid serves on a loopback address of its own.
type cluster struct {
	ca *sidero.CertificateAuthority
	// signer signs the clients' certificates.
	signer *sidero.CertificateAuthority
	ports  map[string]int
	nodes  map[string]*node
}

type node struct {
	events *events.Log
	log    *ring.Buffer
	asked  chan bool
}

func (n *node) Bootstrap(_ context.Context, recover bool) error { n.asked <- recover; return nil }
func (n *node) Shutdown(context.Context) error                  { return nil }
func (n *node) Reboot(context.Context) error                    { return nil }

// fixed are addresses that never change.
type fixed []netip.Prefix

func (f fixed) List() []netip.Prefix     { return f }
func (f fixed) Changed() <-chan struct{} { return nil }

func startCluster(t *testing.T) *cluster {
	t.Helper()

	ca, err := sidero.NewSelfSignedCertificateAuthority(sidero.Organization("talos"))
	if err != nil {
		t.Fatal(err)
	}

	c := &cluster{
		ca:     ca,
		signer: ca,
		ports:  map[string]int{"apid": freePort(t), "trustd": freePort(t)},
		nodes:  map[string]*node{},
	}
	c.start(t, controlPlane, &sidero.PEMEncodedCertificateAndKey{Crt: ca.CrtPEM, Key: ca.KeyPEM})
	c.start(t, worker, &sidero.PEMEncodedCertificateAndKey{Crt: ca.CrtPEM})

	return c
}

func freePort(t *testing.T) int {
	t.Helper()

	listener, err := net.Listen("tcp", net.JoinHostPort(controlPlane, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	return listener.Addr().(*net.TCPAddr).Port
}

func machineConfig(ca *sidero.PEMEncodedCertificateAndKey, secret string) config.Provider {
	endpoint := &url.URL{Scheme: "https", Host: net.JoinHostPort(controlPlane, "6443")}

	kind := "worker"
	if len(ca.Key) > 0 {
		kind = "controlplane"
	}

	return container.NewV1Alpha1(&v1alpha1.Config{
		ConfigVersion: "v1alpha1",
		MachineConfig: &v1alpha1.MachineConfig{MachineType: kind, MachineCA: ca, MachineToken: secret},
		ClusterConfig: &v1alpha1.ClusterConfig{
			ControlPlane: &v1alpha1.ControlPlaneConfig{Endpoint: &v1alpha1.Endpoint{URL: endpoint}},
		},
	})
}

func (c *cluster) start(t *testing.T, address string, ca *sidero.PEMEncodedCertificateAndKey) {
	t.Helper()

	ctx := t.Context()
	cfg := machineConfig(ca, token)
	log := slog.New(slog.DiscardHandler)

	pki := machinepki.New(machinepki.Options{
		Config:     func() config.Provider { return cfg },
		Addresses:  fixed{netip.MustParsePrefix(address + "/8")},
		Hostname:   "node-" + address,
		TrustdPort: c.ports["trustd"],
		Log:        log,
	})

	st, err := resources.New(ctx)
	if err != nil {
		t.Fatal(err)
	}

	watcher, err := addresses.Open()
	if err != nil {
		t.Fatal(err)
	}

	n := &node{events: events.New(), log: ring.New(1 << 10), asked: make(chan bool, 1)}
	c.nodes[address] = n

	services := service.New(ctx)
	services.Add(service.Spec{ID: "kubelet", Run: func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return nil }})
	services.AddLog("machined", n.log)

	stage := resources.NewStage()
	stage.Set(runtimeres.MachineStageRunning)

	for _, run := range []func(context.Context) error{
		pki.Run,
		watcher.Run,
		func(ctx context.Context) error {
			return resources.Run(ctx, resources.Options{
				State: st, Services: services, Events: n.events, Addresses: watcher, Stage: stage,
				Config: cfg, Hostname: "node-" + address, Log: log,
			})
		},
		func(ctx context.Context) error {
			return apid.Run(ctx, apid.Options{
				Host: address, Port: c.ports["apid"], PKI: pki,
				IsLocal: func(target string) bool { return target == address },
				Register: func(registrar grpc.ServiceRegistrar) {
					machineapi.Register(registrar, machineapi.Options{
						Services: services, Events: n.events, Sequencer: n, Hostname: "node-" + address, Log: log,
						Version:    machineapi.Version{Talos: "v1.13.3", Bronze: "v0.1.0", Platform: "container"},
						Kubeconfig: func() ([]byte, error) { return []byte("kubeconfig of " + address), nil },
					})
					resources.Register(registrar, st)
				},
			})
		},
	} {
		background(t, run)
	}

	if len(ca.Key) > 0 {
		background(t, func(ctx context.Context) error {
			return trustd.Run(ctx, trustd.Options{
				Host: address, Port: c.ports["trustd"], PKI: pki, Hostname: "node-" + address, Log: log,
				Config: func() config.Provider { return cfg },
			})
		})
	}

	if err := pki.Wait(ctx); err != nil {
		t.Fatal(err)
	}

	if err := services.Start("kubelet"); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := services.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// background runs until the test ends, and waits for it.
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

// client is machinery's own, at the control plane, with a certificate of the given roles; without any it has none.
func (c *cluster) client(t *testing.T, roles ...role.Role) *client.Client {
	t.Helper()

	return c.clientAt(t, controlPlane, roles...)
}

func (c *cluster) clientAt(t *testing.T, endpoint string, roles ...role.Role) *client.Client {
	t.Helper()

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.ca.CrtPEM)
	tlsConfig := &tls.Config{RootCAs: pool}

	if len(roles) > 0 {
		set := role.MakeSet(roles...)

		pair, err := sidero.NewKeyPair(c.signer, sidero.Organization(set.Strings()...), sidero.NotAfter(time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}

		tlsConfig.Certificates = []tls.Certificate{*pair.Certificate}
	}

	result, err := client.New(t.Context(),
		client.WithEndpoints(net.JoinHostPort(endpoint, strconv.Itoa(c.ports["apid"]))),
		client.WithTLSConfig(tlsConfig))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { result.Close() })

	return result
}

func limited(t *testing.T) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)

	return ctx
}

// answers maps each answer's node to its content.
func answers[M interface{ GetMetadata() *common.Metadata }](messages []M, content func(M) string) map[string]string {
	result := map[string]string{}
	for _, message := range messages {
		result[message.GetMetadata().GetHostname()] = content(message)
	}

	return result
}

func TestApidAsksAllNamedNodes(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)
	ctx := client.WithNodes(limited(t), controlPlane, worker)

	version, err := admin.Version(ctx)
	if err != nil {
		t.Fatal(err)
	}

	got := answers(version.Messages, func(m *machine.Version) string { return m.Version.Tag })
	if diff := cmp.Diff(map[string]string{controlPlane: "v1.13.3", worker: "v1.13.3"}, got); diff != "" {
		t.Error(diff)
	}

	services, err := admin.ServiceList(ctx)
	if err != nil {
		t.Fatal(err)
	}

	got = answers(services.Messages, func(m *machine.ServiceList) string { return m.Services[0].Id })
	if diff := cmp.Diff(map[string]string{controlPlane: "kubelet", worker: "kubelet"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestApidPutsAnErrorInThePlaceOfADeadNode(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)

	hostnames, err := admin.MachineClient.Hostname(client.WithNodes(limited(t), controlPlane, dead, worker), nil)
	if err != nil {
		t.Fatal(err)
	}

	got := answers(hostnames.Messages, func(m *machine.Hostname) string {
		return m.Hostname + codes.Code(m.Metadata.Status.GetCode()).String()
	})
	want := map[string]string{
		controlPlane: "node-127.0.0.1OK",
		worker:       "node-127.0.0.2OK",
		dead:         "Unavailable",
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	_, err = admin.MachineClient.Hostname(client.WithNode(limited(t), dead), nil)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("one dead node: %v", err)
	}
}

func TestApidStreamsLogsOfANamedNode(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Reader)

	_, _ = io.WriteString(c.nodes[worker].log, "one\ntwo\nthree\n")

	stream, err := admin.Logs(client.WithNodes(limited(t), worker), "system", common.ContainerDriver_CONTAINERD, "machined", false, 2)
	if err != nil {
		t.Fatal(err)
	}

	data, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff("two\nthree\n", string(data.Bytes)); diff != "" {
		t.Error(diff)
	}

	if data.Metadata.GetHostname() != worker {
		t.Errorf("metadata: %v", data.Metadata)
	}
}

func TestApidRefusesCallersWithoutACertificate(t *testing.T) {
	c := startCluster(t)

	if _, err := c.client(t).Version(limited(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("without a certificate: %v", err)
	}

	other, err := sidero.NewSelfSignedCertificateAuthority(sidero.Organization("talos"))
	if err != nil {
		t.Fatal(err)
	}

	c.signer = other

	if _, err := c.client(t, role.Admin).Version(limited(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("with another CA's certificate: %v", err)
	}
}

func TestApidHoldsCallersToTheirRoles(t *testing.T) {
	c := startCluster(t)
	forged := metadata.Pairs("talos-role", "os:admin", "proxyfrom", "elsewhere")

	tests := []struct {
		name string
		role role.Role
		ctx  context.Context
		want codes.Code
	}{
		{"a reader here", role.Reader, limited(t), codes.PermissionDenied},
		{"a reader there", role.Reader, client.WithNode(limited(t), worker), codes.PermissionDenied},
		{"a reader who says it is an admin", role.Reader, metadata.NewOutgoingContext(limited(t), forged), codes.PermissionDenied},
		{
			"a reader who says so, there", role.Reader,
			client.WithNode(metadata.NewOutgoingContext(limited(t), forged), worker), codes.PermissionDenied,
		},
		{"an impersonator of nobody", role.Impersonator, limited(t), codes.PermissionDenied},
		{"an impersonator of an admin", role.Impersonator, metadata.NewOutgoingContext(limited(t), forged), codes.OK},
		{"an operator here", role.Operator, limited(t), codes.OK},
		{"an operator there", role.Operator, client.WithNode(limited(t), worker), codes.OK},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.client(t, test.role).MachineClient.Reboot(test.ctx, &machine.RebootRequest{})
			if status.Code(err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestWorkersCallNoOtherNode(t *testing.T) {
	c := startCluster(t)

	_, err := c.clientAt(t, worker, role.Admin).Version(client.WithNode(limited(t), controlPlane))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a worker sent a call on: %v", err)
	}
}

func TestUnknownCallsAreUnimplemented(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)

	_, err := admin.MachineClient.MetaWrite(limited(t), &machine.MetaWriteRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("of the machine API: %v", err)
	}

	if _, err := admin.TimeClient.Time(client.WithNode(limited(t), worker), nil); status.Code(err) != codes.Unimplemented {
		t.Errorf("of another service: %v", err)
	}
}

func TestBootstrapReachesTheSequencer(t *testing.T) {
	c := startCluster(t)

	if err := c.client(t, role.Admin).Bootstrap(limited(t), &machine.BootstrapRequest{RecoverEtcd: true}); err != nil {
		t.Fatal(err)
	}

	if recover := <-c.nodes[controlPlane].asked; !recover {
		t.Error("the request to recover is lost")
	}
}

func TestKubeconfigArrivesAsClientsExpect(t *testing.T) {
	c := startCluster(t)

	got, err := c.client(t, role.Admin).Kubeconfig(limited(t))
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff("kubeconfig of 127.0.0.1", string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestResourcesOfANamedNodeAreReadable(t *testing.T) {
	c := startCluster(t)
	ctx := client.WithNode(limited(t), worker)
	reader := c.client(t, role.Reader).COSI

	hostname, err := reader.WatchFor(ctx, network.NewHostnameStatus(network.NamespaceName, network.HostnameID).Metadata(),
		state.WithEventTypes(state.Created))
	if err != nil {
		t.Fatal(err)
	}

	if got := hostname.(*network.HostnameStatus).TypedSpec().Hostname; got != "node-127.0.0.2" {
		t.Errorf("hostname: %q", got)
	}

	running, err := reader.WatchFor(ctx, serviceres.NewService("kubelet").Metadata(), state.WithEventTypes(state.Created, state.Updated), state.WithCondition(
		func(r resource.Resource) (bool, error) { return r.(*serviceres.Service).TypedSpec().Running, nil }))
	if err != nil {
		t.Fatal(err)
	}

	if !running.(*serviceres.Service).TypedSpec().Unknown {
		t.Error("a service without a health check has a health")
	}

	machineStatus, err := reader.WatchFor(ctx, runtimeres.NewMachineStatus().Metadata(), state.WithEventTypes(state.Created, state.Updated), state.WithCondition(
		func(r resource.Resource) (bool, error) {
			return r.(*runtimeres.MachineStatus).TypedSpec().Status.Ready, nil
		}))
	if err != nil {
		t.Fatal(err)
	}

	if got := machineStatus.(*runtimeres.MachineStatus).TypedSpec().Stage; got != runtimeres.MachineStageRunning {
		t.Errorf("stage: %s", got)
	}

	definitions, err := safe.StateListAll[*meta.ResourceDefinition](ctx, reader)
	if err != nil {
		t.Fatal(err)
	}

	if definitions.Len() == 0 {
		t.Error("no resource definitions: talosctl could not resolve names")
	}
}

func TestSecretResourcesAreForAdmins(t *testing.T) {
	c := startCluster(t)
	ctx := client.WithNode(limited(t), worker)

	cfg, err := c.client(t, role.Admin).COSI.WatchFor(ctx, configres.NewMachineConfig(nil).Metadata(), state.WithEventTypes(state.Created))
	if err != nil {
		t.Fatal(err)
	}

	if got := cfg.(*configres.MachineConfig).Config().Machine().Security().Token(); got != token {
		t.Errorf("token: %q", got)
	}

	operator := c.client(t, role.Operator).COSI
	if _, err := operator.Get(ctx, configres.NewMachineConfig(nil).Metadata()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an operator reads secrets: %v", err)
	}

	err = c.client(t, role.Admin).COSI.Create(ctx, network.NewHostnameStatus(network.NamespaceName, "other"))
	// The client takes PermissionDenied for the error of a resource that somebody else owns, which fits.
	if !state.IsOwnerConflictError(err) {
		t.Errorf("an admin writes: %v", err)
	}
}

func TestEventsBeginWithTheWantedTail(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithCancel(client.WithNode(limited(t), worker))
	log := c.nodes[worker].events

	for _, name := range []string{"boot", "first", "second"} {
		log.PublishFor("tester", &machine.SequenceEvent{Sequence: name})
	}

	var got []string

	err := c.client(t, role.Reader).EventsWatch(ctx, func(events <-chan client.Event) {
		for event := range events {
			got = append(got, event.Payload.(*machine.SequenceEvent).Sequence)

			if len(got) == 2 {
				log.PublishFor("tester", &machine.SequenceEvent{Sequence: "live"})
			}

			if len(got) == 3 {
				cancel()
			}
		}
	}, client.WithTailEvents(2), client.WithActorID("tester"))
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"first", "second", "live"}, got); diff != "" {
		t.Error(diff)
	}
}
