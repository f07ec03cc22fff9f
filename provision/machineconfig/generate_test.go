package machineconfig

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"

	"github.com/bronze-os/bronze/provision"
)

func testCluster() provision.Cluster {
	return provision.Cluster{
		Name:              "town",
		KubernetesVersion: "v1.37.2",
		Network:           provision.Network{Name: "town", Subnet: netip.MustParsePrefix("10.5.0.0/24"), MTU: 1500},
		Endpoint:          "https://10.5.0.2:6443",
		Nodes: []provision.Node{
			{Name: "town-controlplane-1", Role: provision.ControlPlane, IP: netip.MustParseAddr("10.5.0.2")},
			{Name: "town-worker-1", Role: provision.Worker, IP: netip.MustParseAddr("10.5.0.3")},
		},
	}
}

func testSecrets(t *testing.T) Secrets {
	t.Helper()
	s, err := newSecrets(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRender(t *testing.T, cluster provision.Cluster) provision.Configs {
	t.Helper()
	bundle, err := Generator{}.NewSecrets(cluster)
	if err != nil {
		t.Fatal(err)
	}
	configs, err := Generator{}.Render(cluster, bundle)
	if err != nil {
		t.Fatal(err)
	}
	return configs
}

func mustLoad(t *testing.T, data []byte) machineryconfig.Provider {
	t.Helper()
	config, err := configloader.NewFromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestGeneratedConfigIsAsTalosctlWritesIt(t *testing.T) {
	config := mustLoad(t, mustRender(t, testCluster()).Nodes["town-controlplane-1"])
	got := map[string]any{
		"type":      config.Machine().Type().String(),
		"endpoint":  config.Cluster().Endpoint().String(),
		"sans":      config.Cluster().CertSANs(),
		"machine":   config.Machine().Security().CertSANs(),
		"hostdns":   config.Machine().Features().HostDNS().ForwardKubeDNSToHost(),
		"kubeprism": config.Machine().Features().KubePrism().Port(),
		"discovery": config.Cluster().Discovery().Enabled(),
		"documents": len(config.Documents()),
	}
	want := map[string]any{
		"type":      "controlplane",
		"endpoint":  "https://10.5.0.2:6443",
		"sans":      []string{"127.0.0.1", "10.5.0.2", "10.5.0.1"},
		"machine":   []string{"127.0.0.1", "10.5.0.2", "10.5.0.1"},
		"hostdns":   true,
		"kubeprism": 7445,
		"discovery": true,
		"documents": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGeneratedConfigNamesNoImages(t *testing.T) {
	for name, config := range mustRender(t, testCluster()).Nodes {
		if bytes.Contains(config, []byte("image:")) {
			t.Errorf("%s names an image:\n%s", name, config)
		}
	}
}

func TestWorkerGetsNoPrivateKeys(t *testing.T) {
	config := mustLoad(t, mustRender(t, testCluster()).Nodes["town-worker-1"])
	if len(config.Machine().Security().IssuingCA().Key) != 0 || len(config.Cluster().IssuingCA().Key) != 0 {
		t.Error("worker's machine config holds a CA's key")
	}
}

func TestStoredSecretsMakeTheSameConfigsAgain(t *testing.T) {
	bundle, err := Generator{}.NewSecrets(testCluster())
	if err != nil {
		t.Fatal(err)
	}
	want, err := Generator{}.Render(testCluster(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Generator{}.Render(testCluster(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseSecretsRefuses(t *testing.T) {
	for name, input := range map[string]string{
		"an empty document": "{}",
		"no YAML":           "\t:",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSecrets([]byte(input))
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line", err)
			}
		})
	}
}

func TestControlPlaneAloneTakesWorkloads(t *testing.T) {
	cluster := testCluster()
	cluster.Nodes = cluster.Nodes[:1]
	config := mustLoad(t, mustRender(t, cluster).Nodes["town-controlplane-1"])
	if !config.Cluster().ScheduleOnControlPlanes() {
		t.Error("a cluster without workers schedules nothing")
	}
}

func TestPatchesDecideWhatToWaitFor(t *testing.T) {
	for patch, want := range map[string]provision.Expect{
		`{"machine":{}}`: {NodesReady: true, CoreDNS: true},
		`{"cluster":{"coreDNS":{"disabled":true}}}`:       {NodesReady: true},
		`{"cluster":{"network":{"cni":{"name":"none"}}}}`: {},
	} {
		t.Run(patch, func(t *testing.T) {
			cluster := testCluster()
			cluster.Patches = []provision.Patch{{Body: patch}}
			if diff := cmp.Diff(want, mustRender(t, cluster).Expect); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func BenchmarkCreateArtifacts(b *testing.B) {
	for b.Loop() {
		bundle, err := Generator{}.NewSecrets(testCluster())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := (Generator{}).Render(testCluster(), bundle); err != nil {
			b.Fatal(err)
		}
		s, err := ParseSecrets(bundle)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Talosconfig("town", "10.5.0.2", "127.0.0.1:50000"); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Kubeconfig("town", "https://127.0.0.1:6443"); err != nil {
			b.Fatal(err)
		}
	}
}
