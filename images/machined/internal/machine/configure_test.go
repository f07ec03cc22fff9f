package machine

import (
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	machinery "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"

	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/service"
	"github.com/bronze-os/bronze/images/node"
)

// document is a fresh machine config of a container node.
func document(t testing.TB, role machinetype.Type) []byte {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.NewFixedClock(time.Unix(1700000000, 0)), machinery.TalosVersionCurrent)
	if err != nil {
		t.Fatal(err)
	}

	input, err := generate.NewInput("test", "https://10.5.0.2:6443", "1.37.2",
		generate.WithSecretsBundle(bundle), generate.WithHostDNSForwardKubeDNSToHost(true))
	if err != nil {
		t.Fatal(err)
	}

	provider, err := input.Config(role)
	if err != nil {
		t.Fatal(err)
	}

	text, err := provider.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	return text
}

// configured is a machine of which only what follows from its config exists.
func configured(t testing.TB, text []byte) *Machine {
	t.Helper()

	provider, err := nodeconfig.Parse(text)
	if err != nil {
		t.Fatal(err)
	}

	store, err := nodeconfig.New(filepath.Join(t.TempDir(), "config.yaml"), provider)
	if err != nil {
		t.Fatal(err)
	}

	manifest, err := node.Load()
	if err != nil {
		t.Fatal(err)
	}

	m := &Machine{
		config: store, applied: applied{}, versions: manifest.Versions, hostname: "node", ip: netip.MustParseAddr("10.5.0.3"),
		log: slog.New(slog.NewTextHandler(io.Discard, nil)), services: service.New(t.Context()),
		configured: make(chan struct{}), imported: make(chan struct{}), ending: make(chan Ending, 1),
	}
	close(m.imported)

	return m
}

func patched(t testing.TB, text []byte, patch string) []byte {
	t.Helper()

	loaded, err := configpatcher.LoadPatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}

	output, err := configpatcher.Apply(configpatcher.WithBytes(text), []configpatcher.Patch{loaded})
	if err != nil {
		t.Fatal(err)
	}

	result, err := output.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	return result
}

func TestConfigureBringsAConfigToTheNodeAsItsModeSays(t *testing.T) {
	const patch = "machine: {nodeLabels: {tier: gold}}"

	before := document(t, machinetype.TypeWorker)

	tests := []struct {
		name string
		apply.Request
		// follows and keeps tell whether the node then follows the new config, and boots with it.
		follows, keeps, reboots bool
	}{
		{"live", apply.Request{Mode: apply.Auto}, true, true, false},
		{"with a reboot", apply.Request{Mode: apply.Reboot}, false, true, true},
		{"staged", apply.Request{Mode: apply.Staged}, false, true, false},
		{"to try", apply.Request{Mode: apply.Try}, true, false, false},
		{"dry", apply.Request{Mode: apply.Auto, DryRun: true}, false, false, false},
		{"dry, with a reboot", apply.Request{Mode: apply.Reboot, DryRun: true}, false, false, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := configured(t, before)
			test.Document = patched(t, before, patch)

			if _, err := m.Configure(t.Context(), test.Request); err != nil {
				t.Fatal(err)
			}

			got := []bool{
				m.Config().Machine().NodeLabels()["tier"] == "gold",
				m.config.Kept().Machine().NodeLabels()["tier"] == "gold",
				len(m.ending) == 1 && (<-m.ending).Reboot,
			}
			if diff := cmp.Diff([]bool{test.follows, test.keeps, test.reboots}, got); diff != "" {
				t.Errorf("follows, keeps, reboots: %s", diff)
			}
		})
	}
}

func TestConfigureLeavesTheNodeAsItWasWhereItRefuses(t *testing.T) {
	before := document(t, machinetype.TypeWorker)
	m := configured(t, before)

	for _, text := range []string{"a: [", strings.ReplaceAll(string(before), "type: worker", "type: controlplane")} {
		if _, err := m.Configure(t.Context(), apply.Request{Document: []byte(text), Mode: apply.NoReboot}); err == nil {
			t.Errorf("taken: %s", text)
		}
	}

	if got, err := m.Config().Bytes(); err != nil || string(got) != string(before) {
		t.Errorf("the node follows %s, %v", got, err)
	}
}

// FuzzConfigured holds that whatever config a node takes, each of its parts can be made of it, or says why not. A panic
// there would be the end of PID 1.
func FuzzConfigured(f *testing.F) {
	worker, controlPlane := document(f, machinetype.TypeWorker), document(f, machinetype.TypeControlPlane)

	for _, patch := range []string{
		"machine: {kubelet: {extraConfig: {maxPods: 7}, nodeIP: {validSubnets: [10.0.0.0/8]}, extraMounts: [{source: /var/a, destination: /var/a}]}}",
		"cluster: {network: {podSubnets: ['fd00::/64'], serviceSubnets: ['10.0.0.0/30'], cni: {name: none}}}",
		"cluster: {apiServer: {extraArgs: {a: [b, c]}, admissionControl: [{name: a}], auditPolicy: {}, certSANs: ['']}}",
		"machine: {registries: {mirrors: {'*': {endpoints: ['http://']}}, config: {a: {tls: {}}}}, files: [{path: /var/a, op: append}]}",
		"machine: {features: {kubePrism: {enabled: true, port: 65535}}, sysctls: {a: b}, pods: [{}], env: {a: b}}",
		"cluster: {inlineManifests: [{name: a, contents: 'a: b'}], extraManifests: ['::'], controlPlane: {endpoint: 'https://[::1]'}}",
		"apiVersion: v1alpha1\nkind: RegistryAuthConfig\nname: a\nusername: b\npassword: c",
	} {
		f.Add(patch, true)
		f.Add(patch, false)
	}

	f.Fuzz(func(t *testing.T, patch string, controls bool) {
		text := worker
		if controls {
			text = controlPlane
		}

		loaded, err := configpatcher.LoadPatch([]byte(patch))
		if err != nil {
			return
		}

		output, err := configpatcher.Apply(configpatcher.WithBytes(text), []configpatcher.Patch{loaded})
		if err != nil {
			return
		}

		next, err := output.Bytes()
		if err != nil {
			return
		}

		m := configured(t, text)

		plan, err := m.Configure(t.Context(), apply.Request{Document: next, Mode: apply.Staged})
		if err != nil {
			return
		}

		if err := m.config.Set(plan.Config); err != nil {
			t.Fatal(err)
		}

		for _, p := range m.parts() {
			_, _, _ = p.wanted()
		}

		_ = m.settings().Resources()
		_ = m.servingPort()

		if m.isControlPlane() {
			_, _ = m.kubernetes().Base()
			_, _ = m.kubernetes().AddOns()
		}
	})
}
