package settings_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	secretsres "github.com/siderolabs/talos/pkg/machinery/resources/secrets"

	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/settings"
)

// nodeOf is a node of that kind with a config as the host generates it, patched by more documents.
func nodeOf(t *testing.T, kind machine.Type, documents string) settings.Node {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.NewClock(), config.TalosVersion1_6)
	if err != nil {
		t.Fatal(err)
	}

	input, err := generate.NewInput("test", "https://10.5.0.2:6443", "1.37.2", generate.WithSecretsBundle(bundle))
	if err != nil {
		t.Fatal(err)
	}

	generated, err := input.Config(kind)
	if err != nil {
		t.Fatal(err)
	}

	text, err := generated.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	loaded, err := configloader.NewFromBytes(append(text, documents...))
	if err != nil {
		t.Fatal(err)
	}

	return bare(loaded)
}

func bare(config config.Provider) settings.Node {
	return settings.Node{
		Config: config, Hostname: "test-node", IP: netip.MustParseAddr("10.5.0.2"), Platform: "container", Talos: "v1.13.3",
		Resolvers: []netip.Addr{netip.MustParseAddr("127.0.0.11")}, KubePrism: 7445,
		Images: func(component string) string { return "bronze.local/" + component + ":v1" },
	}
}

// find answers the resource of that type and ID among the node's.
func find[R resource.Resource](t *testing.T, node settings.Node, id resource.ID) R {
	t.Helper()

	for _, r := range node.Resources().All() {
		if found, ok := r.(R); ok && r.Metadata().ID() == id {
			return found
		}
	}

	var none R
	t.Fatalf("there is no %T with ID %q", none, id)

	return none
}

const documents = `---
apiVersion: v1alpha1
kind: ResolverConfig
nameservers:
  - address: 10.9.9.9
---
apiVersion: v1alpha1
kind: TimeSyncConfig
ntp:
  servers: [10.9.9.8]
`

func TestNetworkSettingsNameTheirSource(t *testing.T) {
	tests := []struct {
		name string
		node settings.Node
		want []string
	}{
		{"without a config", bare(nil), []string{"[127.0.0.11]", "platform", "[time.cloudflare.com]", "default"}},
		{"of the platform", nodeOf(t, machine.TypeWorker, ""), []string{"[127.0.0.11]", "platform", "[time.cloudflare.com]", "default"}},
		{"of the config", nodeOf(t, machine.TypeWorker, documents), []string{"[10.9.9.9]", "configuration", "[10.9.9.8]", "configuration"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resolvers := find[*network.ResolverSpec](t, test.node, network.ResolverID).TypedSpec()
			servers := find[*network.TimeServerSpec](t, test.node, network.TimeServerID).TypedSpec()
			got := []string{
				texts(resolvers.DNSServers), resolvers.ConfigLayer.String(), "[" + servers.NTPServers[0] + "]", servers.ConfigLayer.String(),
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}

			shown := find[*network.ResolverStatus](t, test.node, network.ResolverID).TypedSpec()
			if !slices.Equal(shown.DNSServers, resolvers.DNSServers) {
				t.Errorf("the status differs: %v", shown.DNSServers)
			}
		})
	}
}

func texts(addresses []netip.Addr) string {
	text := ""
	for _, address := range addresses {
		text += address.String()
	}

	return "[" + text + "]"
}

func TestAControlPlaneTellsOfItsComponents(t *testing.T) {
	node := nodeOf(t, machine.TypeControlPlane, "")
	server := find[*k8s.APIServerConfig](t, node, k8s.APIServerConfigID).TypedSpec()
	manifests := find[*k8s.BootstrapManifestsConfig](t, node, k8s.BootstrapManifestsConfigID).TypedSpec()
	root := find[*secretsres.KubernetesRoot](t, node, secretsres.KubernetesRootID).TypedSpec()

	got := []string{
		server.Image, server.ControlPlaneEndpoint, server.AdvertisedAddress, manifests.ClusterDomain, manifests.DNSServiceIP,
		root.Name, root.LocalEndpoint.String(), texts(root.APIServerIPs),
	}
	want := []string{
		"bronze.local/kube-apiserver:v1", "https://10.5.0.2:6443", "10.5.0.2", "cluster.local", "10.96.0.10",
		"test", "https://localhost:6443", "[10.96.0.1]",
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAWorkerHasNoResourcesOfAControlPlane(t *testing.T) {
	for _, r := range nodeOf(t, machine.TypeWorker, "").Resources().All() {
		switch r.(type) {
		case *k8s.APIServerConfig, *secretsres.KubernetesRoot, *secretsres.EtcdRoot:
			t.Errorf("a worker tells of %s", r.Metadata())
		}
	}

	kind := find[*configres.MachineType](t, nodeOf(t, machine.TypeWorker, ""), configres.MachineTypeID)
	if kind.MachineType() != machine.TypeWorker {
		t.Errorf("a worker's type is %s", kind.MachineType())
	}
}

func TestWhatALaterConfigNoLongerWantsIsGone(t *testing.T) {
	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	node := nodeOf(t, machine.TypeControlPlane, "")
	if err := node.Resources().Write(t.Context(), st); err != nil {
		t.Fatal(err)
	}

	before := versions(t, node, st)

	if err := node.Resources().Write(t.Context(), st); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(before, versions(t, node, st)); diff != "" {
		t.Errorf("the same config makes new versions (-before +after):\n%s", diff)
	}

	node.Config = nil
	if err := node.Resources().Write(t.Context(), st); err != nil {
		t.Fatal(err)
	}

	for _, kind := range []resource.Kind{configres.NewMachineConfig(nil).Metadata(), k8s.NewAPIServerConfig().Metadata(), k8s.NewNodename(k8s.NamespaceName, "").Metadata()} {
		if list, err := st.List(t.Context(), kind); err != nil || len(list.Items) > 0 {
			t.Errorf("%s: %d are left, %v", kind.Type(), len(list.Items), err)
		}
	}
}

func TestResolversAreRead(t *testing.T) {
	servers, search := settings.ReadResolvers("# of the engine\nnameserver 127.0.0.11\nnameserver nonsense\nnameserver fd00::1\nsearch a.test b.test\noptions ndots:0\nnameserver\n")

	if got := texts(servers); got != "[127.0.0.11fd00::1]" {
		t.Errorf("servers: %s", got)
	}

	if diff := cmp.Diff([]string{"a.test", "b.test"}, search); diff != "" {
		t.Error(diff)
	}
}
