package apply_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/config/honoured"
	"github.com/bronze-os/bronze/images/node"
)

func fields(t testing.TB) []honoured.Field {
	t.Helper()

	manifest, err := node.Load()
	if err != nil {
		t.Fatal(err)
	}

	return honoured.Fields(manifest.Versions)
}

// generated is a fresh config as `talosctl gen config` makes it, of a container node.
func generated(t testing.TB, role machine.Type) []byte {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.NewFixedClock(time.Unix(1700000000, 0)), config.TalosVersionCurrent)
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

	document, err := provider.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	return document
}

func patched(t testing.TB, document []byte, patch string) []byte {
	t.Helper()

	if patch == "" {
		return document
	}

	loaded, err := configpatcher.LoadPatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}

	output, err := configpatcher.Apply(configpatcher.WithBytes(document), []configpatcher.Patch{loaded})
	if err != nil {
		t.Fatal(err)
	}

	result, err := output.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	return result
}

func parse(t testing.TB, document []byte) config.Provider {
	t.Helper()

	provider, err := nodeconfig.Parse(document)
	if err != nil {
		t.Fatal(err)
	}

	return provider
}

const (
	label = "machine: {nodeLabels: {tier: gold}}"
	token = "machine: {ca: {crt: bmV3}}"
)

func TestModeFollowsFromWhatChanged(t *testing.T) {
	before := generated(t, machine.TypeWorker)

	tests := []struct {
		name, patch string
		mode, want  apply.Mode
		reboot      []string
	}{
		{"nothing", "", apply.Auto, apply.NoReboot, nil},
		{"a label", label, apply.Auto, apply.NoReboot, nil},
		{"a label, staged", label, apply.Staged, apply.Staged, nil},
		{"a label, with a reboot all the same", label, apply.Reboot, apply.Reboot, nil},
		{"a label to try", label, apply.Try, apply.Try, nil},
		{"kubelet arguments and mirrors", "machine: {kubelet: {extraArgs: {v: 4}}, registries: {mirrors: {docker.io: {endpoints: [https://a]}}}}", apply.NoReboot, apply.NoReboot, nil},
		{"sysctls", "machine: {sysctls: {net.core.somaxconn: '1024'}}", apply.Auto, apply.NoReboot, nil},
		{"a document more", "apiVersion: v1alpha1\nkind: StaticHostConfig\nname: 192.0.2.1\nhostnames: [a]", apply.Auto, apply.NoReboot, nil},
		{"the machine's CA", token, apply.Auto, apply.Reboot, []string{"machine.ca"}},
		{"the pod network", "cluster: {network: {podSubnets: [10.1.0.0/16]}}", apply.Auto, apply.Reboot, []string{"cluster.network.podSubnets"}},
		{"a label and the machine's CA", label + "\n---\n" + token, apply.Staged, apply.Staged, []string{"machine.ca"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			document := before
			for patch := range strings.SplitSeq(test.patch, "\n---\n") {
				document = patched(t, document, patch)
			}

			plan, err := apply.Decide(fields(t), parse(t, before), apply.Request{Document: document, Mode: test.mode})
			if err != nil {
				t.Fatal(err)
			}

			if plan.Mode != test.want {
				t.Errorf("mode %s, want %s", plan.Mode, test.want)
			}

			if diff := cmp.Diff(test.reboot, plan.NeedsReboot); diff != "" {
				t.Error(diff)
			}

			for _, path := range test.reboot {
				if !strings.Contains(plan.Details(false), path) {
					t.Errorf("the details do not name %s: %s", path, plan.Details(false))
				}
			}
		})
	}
}

func TestModesWithoutARebootRefuseWhatNeedsOne(t *testing.T) {
	before := generated(t, machine.TypeWorker)
	after := patched(t, before, token)

	for _, mode := range []apply.Mode{apply.NoReboot, apply.Try} {
		_, err := apply.Decide(fields(t), parse(t, before), apply.Request{Document: after, Mode: mode})

		needed, ok := errors.AsType[*apply.RebootNeededError](err)
		if !ok {
			t.Errorf("%s: %v", mode, err)
			continue
		}

		if diff := cmp.Diff([]string{"machine.ca"}, needed.Fields); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
	}
}

func TestTriedConfigStaysAsLongAsAsked(t *testing.T) {
	before := generated(t, machine.TypeWorker)

	for asked, want := range map[time.Duration]time.Duration{0: time.Minute, 5 * time.Second: 5 * time.Second} {
		plan, err := apply.Decide(fields(t), parse(t, before), apply.Request{Document: before, Mode: apply.Try, Limit: asked})
		if err != nil || plan.Limit != want {
			t.Errorf("%s: %s, %v", asked, plan.Limit, err)
		}
	}

	_, err := apply.Decide(fields(t), parse(t, before), apply.Request{Document: before, Mode: apply.Try, Limit: -1})
	if _, ok := errors.AsType[*apply.InvalidError](err); !ok {
		t.Errorf("a time in the past: %v", err)
	}
}

func TestFirstConfigIsBootedWith(t *testing.T) {
	document := generated(t, machine.TypeControlPlane)

	for mode, ok := range map[apply.Mode]bool{
		apply.Auto: true, apply.NoReboot: true, apply.Reboot: true, apply.Staged: false, apply.Try: false,
	} {
		plan, err := apply.Decide(fields(t), nil, apply.Request{Document: document, Mode: mode})
		if (err == nil) != ok {
			t.Errorf("%s: %v", mode, err)
		}

		if ok && (!plan.First || plan.Mode != apply.NoReboot || plan.Config == nil) {
			t.Errorf("%s: %+v", mode, plan)
		}
	}
}

func TestInvalidConfigIsRefusedWithEveryReason(t *testing.T) {
	worker, controlPlane := string(generated(t, machine.TypeWorker)), string(generated(t, machine.TypeControlPlane))

	tests := []struct {
		name, document string
		want           []string
	}{
		{"no YAML", "a: [", []string{"cannot parse"}},
		{"a field that nobody knows", "machine: {type: worker, nodeLabel: {}}", []string{"nodeLabel"}},
		{"a kind that nobody knows", "apiVersion: v1\nkind: Pod\n", []string{"Pod"}},
		{"no document of the node", "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n", []string{"machine and cluster"}},
		{"no endpoint", "machine: {type: worker}\ncluster: {}\n", []string{"cluster.controlPlane.endpoint"}},
		{
			"several things at once",
			string(patched(t, []byte(worker), "machine: {nodeLabels: {'bad key': x}, features: {hostDNS: {enabled: false}}}")),
			[]string{"machine node labels", ".machine.features.hostDNS.enabled", "hostDNS.forwardKubeDNSToHost requires"},
		},
		{
			"a worker without what it joins by",
			"machine: {type: worker, features: {hostDNS: {enabled: true, forwardKubeDNSToHost: true}}}\ncluster: {controlPlane: {endpoint: 'https://a:6443'}}\n",
			[]string{"machine.ca", "machine.token is missing", "cluster.token is missing", "cluster.ca.crt is missing"},
		},
		{
			"a control plane without its authorities",
			controlPlane[:strings.Index(controlPlane, "\n    aggregatorCA:")] + "\n",
			[]string{"cluster.aggregatorCA is missing", "cluster.serviceAccount.key is missing", "cluster.etcd.ca is missing"},
		},
		{
			"a network that is none",
			string(patched(t, []byte(worker), "cluster: {network: {podSubnets: [10.0.0.0]}}")),
			[]string{"cluster.network.podSubnets"},
		},
		{
			"a life of affiliates that is too short",
			string(patched(t, []byte(worker), "machine: {env: {BRONZE_DISCOVERY_TTL: 1s}}")),
			[]string{"BRONZE_DISCOVERY_TTL"},
		},
		{
			"what cannot be honoured at all",
			worker + "\n---\napiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: block\n",
			[]string{"NetworkDefaultActionConfig cannot be honoured"},
		},
		{"more than a config may have", strings.Repeat("#", nodeconfig.MaxSize+1), []string{"4194305 bytes"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, current := range []config.Provider{nil, parse(t, []byte(worker))} {
				_, err := apply.Decide(fields(t), current, apply.Request{Document: []byte(test.document)})

				invalid, ok := errors.AsType[*apply.InvalidError](err)
				if !ok {
					t.Fatalf("taken, or: %v", err)
				}

				for _, want := range test.want {
					if !slices.ContainsFunc(invalid.Problems, func(problem string) bool { return strings.Contains(problem, want) }) {
						t.Errorf("no word of %s in %q", want, invalid.Problems)
					}
				}
			}
		})
	}
}

func TestFieldsWithoutEffectAreNamedOnce(t *testing.T) {
	before := generated(t, machine.TypeWorker)

	plan, err := apply.Decide(fields(t), parse(t, before), apply.Request{Document: before})
	if err != nil || len(plan.Warnings) > 0 {
		t.Errorf("a fresh config: %q, %v", plan.Warnings, err)
	}

	document := string(patched(t, before, `
machine:
  sysctls: {vm.max_map_count: '1', net.core.somaxconn: '2'}
  network: {interfaces: [{interface: eth0, addresses: [192.0.2.1/24]}, {interface: eth1, dhcp: true}]}
`)) + "\n---\napiVersion: v1alpha1\nkind: WatchdogTimerConfig\ndevice: /dev/watchdog0\ntimeout: 1m\n"

	plan, err = apply.Decide(fields(t), parse(t, before), apply.Request{Document: []byte(document)})
	if err != nil {
		t.Fatal(err)
	}

	var names []string

	for _, warning := range plan.Warnings {
		name, _, _ := strings.Cut(warning, " ")
		names = append(names, name)
	}

	if diff := cmp.Diff([]string{"WatchdogTimerConfig", "machine.network.interfaces", "machine.sysctls.vm.max_map_count"}, names); diff != "" {
		t.Errorf("%s\n%q", diff, plan.Warnings)
	}
}

func TestDryRunShowsTheChangeWithoutSecrets(t *testing.T) {
	before := generated(t, machine.TypeWorker)
	after := patched(t, patched(t, before, label), "machine: {token: abcdef.verysecretverys}")

	plan, err := apply.Decide(fields(t), parse(t, before), apply.Request{Document: after, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}

	details := plan.Details(true)

	for _, want := range []string{"+        tier: gold", "not shown because secret: machine.token\n", "Dry run"} {
		if !strings.Contains(details, want) {
			t.Errorf("no %q in %s", want, details)
		}
	}

	own := parse(t, before)
	for _, secret := range []string{"verysecret", own.Machine().Security().Token(), own.Cluster().Token().Secret(), own.Cluster().Secret()} {
		if strings.Contains(details, secret) {
			t.Errorf("the secret %s is in %s", secret, details)
		}
	}

	plan, err = apply.Decide(fields(t), parse(t, before), apply.Request{Document: before, DryRun: true})
	if err != nil || !strings.Contains(plan.Details(true), "No changes.") {
		t.Errorf("%s, %v", plan.Details(true), err)
	}
}
