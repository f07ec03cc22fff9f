package kubelet

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// testKubelet adds lines to the kubelet's part of the document.
func testKubelet(t *testing.T, role string, more ...string) Kubelet {
	t.Helper()

	text := strings.ReplaceAll(document, "%TYPE%", role)
	for _, line := range more {
		text = strings.Replace(text, "  kubelet:\n", "  kubelet:\n    "+line+"\n", 1)
	}

	provider, err := configloader.NewFromBytes([]byte(text))
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

func TestKubeletRestartsForWhatItReadsAndNotForEachCertificate(t *testing.T) {
	k := testKubelet(t, "worker")
	mark := fmt.Sprint(k.Mark())

	if again := fmt.Sprint(k.Mark()); again != mark {
		t.Error("the same differs")
	}

	k.SettledPort++

	if other := fmt.Sprint(k.Mark()); other == mark {
		t.Error("another port is not seen")
	}
}

func TestKubeletStandsAloneWhereItIsToldSo(t *testing.T) {
	k := testKubelet(t, "worker", "skipNodeRegistration: true")

	for _, argument := range k.Arguments() {
		if strings.Contains(argument, "kubeconfig=") {
			t.Errorf("shows %s", argument)
		}
	}

	var configuration struct {
		RegisterNode  bool
		Authorization struct{ Mode string }
	}

	content, err := k.configuration()
	if err != nil {
		t.Fatal(err)
	}

	if err := json.Unmarshal(content, &configuration); err != nil || configuration.RegisterNode || configuration.Authorization.Mode != "AlwaysAllow" {
		t.Errorf("configuration %s, %v", content, err)
	}
}

func TestCredentialProvidersAreNamed(t *testing.T) {
	k := testKubelet(t, "worker", "credentialProviderConfig: {kind: CredentialProviderConfig}")

	for _, want := range []string{"--image-credential-provider-config=" + credentialConfig, "--image-credential-provider-bin-dir=" + credentialProviders} {
		if !slices.Contains(k.Arguments(), want) {
			t.Errorf("no %s in %v", want, k.Arguments())
		}
	}

	settings, err := k.settings()
	if err != nil {
		t.Fatal(err)
	}

	want := rootfs.Step(rootfs.File{Path: credentialConfig, Content: `{"kind":"CredentialProviderConfig"}`, Mode: 0o600})
	if !slices.Contains(settings, want) {
		t.Errorf("settings %v", settings)
	}
}

func TestExtraConfigurationIsLaidOverObjectByObject(t *testing.T) {
	got := layOver(
		map[string]any{"authentication": map[string]any{"anonymous": false, "webhook": true}, "maxPods": 1, "list": []any{1, 2}},
		map[string]any{"authentication": map[string]any{"webhook": false}, "list": []any{3}, "new": map[string]any{"a": 1}},
	)

	want := map[string]any{
		"authentication": map[string]any{"anonymous": false, "webhook": false}, "maxPods": 1, "list": []any{3}, "new": map[string]any{"a": 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
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
