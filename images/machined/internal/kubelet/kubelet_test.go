package kubelet

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const document = `version: v1alpha1
machine:
  type: %TYPE%
  nodeLabels: {rack: r1, node-role.kubernetes.io/storage: "", topology.kubernetes.io/zone: z1}
  nodeTaints: {dedicated: "infra:NoSchedule", empty: NoExecute}
  kubelet:
    extraArgs: {v: "2"}
    extraConfig: {maxPods: 42}
cluster:
  clusterName: test
  token: abcdef.0123456789abcdef
  controlPlane: {endpoint: "https://10.5.0.2:6443"}
  ca: {crt: Y3J0, key: ""}
`

func testKubelet(t *testing.T, role string) Kubelet {
	t.Helper()

	provider, err := configloader.NewFromBytes([]byte(strings.ReplaceAll(document, "%TYPE%", role)))
	if err != nil {
		t.Fatal(err)
	}

	return Kubelet{Config: provider, Name: "w", IP: netip.MustParseAddr("10.5.0.3"), ServingPort: 7445, SettledPort: 7446, ResolvConf: "/r"}
}

func TestWorkerAsksForItsCertificateWithTheToken(t *testing.T) {
	k := testKubelet(t, "worker")

	if !slices.Contains(k.Arguments(), "--bootstrap-kubeconfig="+bootstrapKubeconfig) {
		t.Errorf("Arguments = %v", k.Arguments())
	}

	steps, err := k.identity()
	if err != nil {
		t.Fatal(err)
	}

	bootstrap := steps[0].(rootfs.File)
	if !strings.Contains(bootstrap.Content, "abcdef.0123456789abcdef") || !strings.Contains(bootstrap.Content, "127.0.0.1:7445") {
		t.Errorf("%s holds %s", bootstrap.Path, bootstrap.Content)
	}

	flannel := steps[1].(rootfs.File)
	if !strings.Contains(flannel.Content, ClientPair) || !strings.Contains(flannel.Content, "127.0.0.1:7446") {
		t.Errorf("%s holds %s", flannel.Path, flannel.Content)
	}
}

func TestExtraArgumentsAndConfigurationAreLaidOver(t *testing.T) {
	k := testKubelet(t, "worker")

	if !slices.Contains(k.Arguments(), "--v=2") {
		t.Errorf("Arguments = %v", k.Arguments())
	}

	content, err := k.configuration()
	if err != nil {
		t.Fatal(err)
	}

	var configuration struct {
		MaxPods            int
		RotateCertificates bool
		RegisterWithTaints []struct{ Key, Value, Effect string }
	}
	if err := json.Unmarshal(content, &configuration); err != nil {
		t.Fatal(err)
	}

	if configuration.MaxPods != 42 || !configuration.RotateCertificates {
		t.Errorf("configuration %+v", configuration)
	}

	for _, taint := range configuration.RegisterWithTaints {
		if taint.Key == "dedicated" && (taint.Value != "infra" || taint.Effect != "NoSchedule") {
			t.Errorf("taint %+v", taint)
		}

		if taint.Key == "empty" && (taint.Value != "" || taint.Effect != "NoExecute") {
			t.Errorf("taint %+v", taint)
		}
	}

	if len(configuration.RegisterWithTaints) != 2 {
		t.Errorf("taints %+v", configuration.RegisterWithTaints)
	}
}

func TestControlPlaneKeepsWorkloadsOff(t *testing.T) {
	taints := testKubelet(t, "controlplane").taints()

	if !slices.ContainsFunc(taints, func(taint map[string]any) bool {
		return taint["key"] == "node-role.kubernetes.io/control-plane" && taint["effect"] == "NoSchedule"
	}) {
		t.Errorf("taints %v", taints)
	}
}
