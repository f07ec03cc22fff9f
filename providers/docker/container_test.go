package docker

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/bronze-os/bronze/provision"
)

func testCluster(t *testing.T) provision.Cluster {
	t.Helper()
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = "dev", "bronze.local/node:v0.1.0", "v1.37.2"
	request.Worker = provision.Resources{CPUs: 1.5, MemoryMiB: 1024}
	request.Ports = []provision.Port{{HostIP: netip.IPv4Unspecified(), Host: 8080, Node: 80, Protocol: "tcp"}}
	request.Mounts = []provision.Mount{{Type: provision.MountBind, Source: "/data", Target: "/var/mnt/data", ReadOnly: true}}
	cluster, err := provision.Expand(request, provision.Site{Balanced: true})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestContainersAreAsTheyShouldBe(t *testing.T) {
	cluster := testCluster(t)
	for name, test := range map[string]struct {
		node     provision.Node
		isolated isolation
	}{
		"controlplane":      {cluster.Nodes[0], isolation{}},
		"worker":            {cluster.Nodes[1], isolation{}},
		"worker-restricted": {cluster.Nodes[1], isolation{Capabilities: []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN"}, AppArmor: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got := containerOf(cluster, test.node, []byte("machine: {}\n"), test.isolated)
			wantGolden(t, name+".json", container.CreateRequest{
				Config: got.Config, HostConfig: got.HostConfig, NetworkingConfig: got.NetworkingConfig,
			})
			if got.Name != test.node.Name {
				t.Errorf("name %q", got.Name)
			}
		})
	}
}

func TestANodeMayHaveAnImageOfItsOwn(t *testing.T) {
	cluster := testCluster(t)
	node := cluster.Nodes[1]
	node.Image = "node:other"
	if got := containerOf(cluster, node, nil, isolation{}).Config.Image; got != node.Image {
		t.Errorf("image %q", got)
	}
}

func TestTheBalancersContainerIsAsItShouldBe(t *testing.T) {
	got := balancerOf(testCluster(t))
	wantGolden(t, "balancer.json", container.CreateRequest{
		Config: got.Config, HostConfig: got.HostConfig, NetworkingConfig: got.NetworkingConfig,
	})
}

func TestTheNetworkIsAsItShouldBe(t *testing.T) {
	options := networkOf(testCluster(t))
	wantGolden(t, "network.json", network.CreateRequest{
		Driver: options.Driver, IPAM: options.IPAM, Options: options.Options, Labels: options.Labels,
	})
}

// wantGolden compares what the engine would be sent with a file of testdata; with BRONZE_UPDATE_GOLDEN set it writes the
// file.
func wantGolden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name)
	if os.Getenv("BRONZE_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestPortsSeenAreThoseOnTheHostInOrder(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	got := portsSeen(container.Summary{Ports: []container.PortSummary{
		{IP: here, PrivatePort: 50000, PublicPort: 40001, Type: "tcp"},
		{PrivatePort: 50001, Type: "tcp"},
		{IP: here, PrivatePort: 53, PublicPort: 40053, Type: "udp"},
		{IP: here, PrivatePort: 6443, PublicPort: 40123, Type: "tcp"},
		{IP: here, PrivatePort: 53, PublicPort: 40053, Type: "tcp"},
	}})
	want := []provision.Port{
		{HostIP: here, Host: 40053, Node: 53, Protocol: "tcp"},
		{HostIP: here, Host: 40053, Node: 53, Protocol: "udp"},
		{HostIP: here, Host: 40123, Node: 6443, Protocol: "tcp"},
		{HostIP: here, Host: 40001, Node: 50000, Protocol: "tcp"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
