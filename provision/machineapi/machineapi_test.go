package machineapi

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/cosi-project/runtime/api/v1alpha1"
	stateserver "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"go.yaml.in/yaml/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// fakeNode is a machine API that answers as a node does.
type fakeNode struct {
	fakeMember
	bootstrapped bool
}

func (n *fakeNode) Bootstrap(context.Context, *machineapi.BootstrapRequest) (*machineapi.BootstrapResponse, error) {
	if n.bootstrapped {
		return nil, status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	}
	n.bootstrapped = true
	return &machineapi.BootstrapResponse{}, nil
}

// Version answers the address that the call was meant for, so that a test sees it.
func (n *fakeNode) Version(ctx context.Context, _ *emptypb.Empty) (*machineapi.VersionResponse, error) {
	target := "itself"
	if values := metadata.ValueFromIncomingContext(ctx, "node"); len(values) > 0 {
		target = values[0]
	}
	return &machineapi.VersionResponse{Messages: []*machineapi.Version{
		{Version: &machineapi.VersionInfo{Tag: target}},
	}}, nil
}

func (n *fakeNode) ServiceList(context.Context, *emptypb.Empty) (*machineapi.ServiceListResponse, error) {
	return &machineapi.ServiceListResponse{Messages: []*machineapi.ServiceList{{
		Metadata: &common.Metadata{},
		Services: []*machineapi.ServiceInfo{
			{Id: "etcd", State: "Running", Health: &machineapi.ServiceHealth{LastMessage: "no leader"}},
			{Id: "apid", State: "Running", Health: &machineapi.ServiceHealth{Healthy: true}},
			{Id: "trustd", State: "Running", Health: &machineapi.ServiceHealth{Unknown: true}},
			{Id: "kubelet", State: "Waiting", Health: &machineapi.ServiceHealth{Unknown: true}, Events: &machineapi.ServiceEvents{
				Events: []*machineapi.ServiceEvent{{Msg: "first"}, {Msg: "waiting for containerd"}},
			}},
		},
	}}}, nil
}

func TestBootstrapOfABootstrappedNodeIsNoError(t *testing.T) {
	client, cluster := openFake(t)
	for range 2 {
		if err := client.Bootstrap(t.Context(), cluster.Founder()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCallsNameTheirNode(t *testing.T) {
	client, cluster := openFake(t)
	for i, want := range []string{"10.5.0.2", "10.5.0.3"} {
		got, err := client.Version(t.Context(), cluster.Nodes[i])
		if err != nil || got != want {
			t.Errorf("%s: answered for %q (%v), want %q", cluster.Nodes[i].Name, got, err, want)
		}
	}
}

func TestServicesTellHowTheyAre(t *testing.T) {
	client, cluster := openFake(t)
	got, err := client.Services(t.Context(), cluster.Founder())
	if err != nil {
		t.Fatal(err)
	}
	want := []provision.Service{
		{ID: "etcd", State: "Running", Message: "no leader"},
		{ID: "apid", State: "Running", Healthy: true},
		{ID: "trustd", State: "Running", Healthy: true},
		{ID: "kubelet", State: "Waiting", Message: "waiting for containerd"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNodeOfAnotherClusterIsHopeless(t *testing.T) {
	_, cluster, address := startFake(t)
	client := open(t, cluster, newSecrets(t, cluster), address)
	if err := client.Bootstrap(t.Context(), cluster.Founder()); !errors.Is(err, provision.ErrHopeless) {
		t.Errorf("error %v, want one that says waiting is useless", err)
	}
}

func TestNodeIsFoundSoonAfterItListens(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	address := listener.Addr().String()
	listener.Close()
	cluster := testCluster()
	bundle := newSecrets(t, cluster)
	client := open(t, cluster, bundle, address)
	if err := client.Bootstrap(t.Context(), cluster.Founder()); err == nil || errors.Is(err, provision.ErrHopeless) {
		t.Fatalf("error %v of a node that does not listen, want one that says to wait", err)
	}
	serve(t, bundle, listen(t, address), &fakeNode{})
	deadline, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
	defer cancel()
	for client.Bootstrap(deadline, cluster.Founder()) != nil {
		// gRPC's own back-off would be over after a second only.
		if deadline.Err() != nil {
			t.Fatal("not found within 0.9 s")
		}
	}
}

func openFake(t *testing.T) (*Client, provision.Cluster) {
	t.Helper()
	bundle, cluster, address := startFake(t)
	return open(t, cluster, bundle, address), cluster
}

func startFake(t *testing.T) (bundle []byte, cluster provision.Cluster, address string) {
	t.Helper()
	cluster = testCluster()
	bundle = newSecrets(t, cluster)
	listener := listen(t, "127.0.0.1:0")
	serve(t, bundle, listener, &fakeNode{})
	return bundle, cluster, listener.Addr().String()
}

func testCluster() provision.Cluster {
	return provision.Cluster{Name: "town", Nodes: []provision.Node{
		{Name: "town-controlplane-1", IP: netip.MustParseAddr("10.5.0.2")},
		{Name: "town-worker-1", IP: netip.MustParseAddr("10.5.0.3")},
	}}
}

// serve runs the node with a certificate of the secrets until the test ends. It demands one of the client.
func serve(t *testing.T, bundle []byte, listener net.Listener, node *fakeNode) {
	t.Helper()
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS(t, bundle))))
	machineapi.RegisterMachineServiceServer(server, node)
	if node.resources != nil {
		v1alpha1.RegisterStateServer(server, stateserver.NewState(node.resources))
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
}

func serverTLS(t *testing.T, data []byte) *tls.Config {
	t.Helper()
	var bundle secrets.Bundle
	must(t, yaml.Unmarshal(data, &bundle))
	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(bundle.Certs.OS)
	must(t, err)
	pair, err := x509.NewKeyPair(authority, x509.IPAddresses([]net.IP{net.IPv4(127, 0, 0, 1)}),
		x509.NotAfter(time.Now().Add(time.Hour)),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth}))
	must(t, err)
	clients := stdx509.NewCertPool()
	clients.AddCert(authority.Crt)
	return &tls.Config{
		Certificates: []tls.Certificate{*pair.Certificate},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
}

func newSecrets(t *testing.T, cluster provision.Cluster) []byte {
	t.Helper()
	bundle, err := machineconfig.Generator{}.NewSecrets(cluster)
	must(t, err)
	return bundle
}

func open(t *testing.T, cluster provision.Cluster, bundle []byte, address string) *Client {
	t.Helper()
	client, err := Open(provision.Access{
		Cluster: cluster, Secrets: bundle, MachineAPI: netip.MustParseAddrPort(address),
	})
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	must(t, err)
	return listener
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
