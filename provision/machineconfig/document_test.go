package machineconfig

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

// testDocuments is a small config of two documents.
const testDocuments = `version: v1alpha1
machine:
  type: worker
  nodeLabels:
    zone: a
    old: gone
  network:
    nameservers: [10.0.0.1]
cluster:
  controlPlane:
    endpoint: https://10.5.0.2:6443
---
apiVersion: v1alpha1
kind: HostnameConfig
auto: stable
`

func TestPatchChangesAConfigOfSeveralDocuments(t *testing.T) {
	for name, test := range map[string]struct {
		patches []string
		// has and lacks are lines of the result.
		has, lacks []string
	}{
		"a strategic merge adds beside what is there": {
			patches: []string{"machine:\n  nodeLabels:\n    pool: x\n"},
			has:     []string{"zone: a", "pool: x", "kind: HostnameConfig"},
		},
		"a JSON patch means the main document": {
			patches: []string{`[{"op":"replace","path":"/machine/nodeLabels/zone","value":"b"}]`},
			has:     []string{"zone: b", "kind: HostnameConfig"},
			lacks:   []string{"zone: a"},
		},
		"a JSON patch may be YAML": {
			patches: []string{"- op: remove\n  path: /machine/nodeLabels/old\n"},
			has:     []string{"zone: a"},
			lacks:   []string{"old: gone"},
		},
		"$patch deletes a value": {
			patches: []string{"machine:\n  nodeLabels:\n    old:\n      $patch: delete\n"},
			has:     []string{"zone: a"},
			lacks:   []string{"old: gone"},
		},
		"$patch deletes a document": {
			patches: []string{"apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n"},
			has:     []string{"zone: a"},
			lacks:   []string{"kind: HostnameConfig"},
		},
		"a patch of two documents changes one and adds another": {
			patches: []string{"machine:\n  nodeLabels:\n    zone: c\n---\napiVersion: v1alpha1\nkind: TimeSyncConfig\nenabled: false\n"},
			has:     []string{"zone: c", "kind: TimeSyncConfig", "kind: HostnameConfig"},
		},
		"the later patch wins": {
			patches: []string{`{"machine":{"nodeLabels":{"zone":"first"}}}`, `{"machine":{"nodeLabels":{"zone":"last"}}}`},
			has:     []string{"zone: last"},
			lacks:   []string{"zone: first"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			patched, err := Patch([]byte(testDocuments), test.patches)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range test.has {
				if !strings.Contains(string(patched), line) {
					t.Errorf("no %q in\n%s", line, patched)
				}
			}
			for _, line := range test.lacks {
				if strings.Contains(string(patched), line) {
					t.Errorf("still %q in\n%s", line, patched)
				}
			}
		})
	}
}

func TestPatchThatCannotBeAppliedIsNamed(t *testing.T) {
	for name, test := range map[string]struct{ config, patch, want string }{
		"no patch":                {testDocuments, "", "cannot parse config patch 1: it is empty"},
		"unknown key":             {testDocuments, `{"machine":{"nonsense":1}}`, "nonsense"},
		"path that is absent":     {testDocuments, `[{"op":"remove","path":"/machine/nothing"}]`, "applying config patch 1: "},
		"no main document":        {"apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n", `[{"op":"remove","path":"/a"}]`, "without a main document"},
		"config that is none":     {"nonsense", `{"machine":{}}`, "expected a YAML document"},
		"shape that no config is": {testDocuments, `[{"op":"replace","path":"/machine/nodeLabels","value":["a"]}]`, "cannot"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Patch([]byte(test.config), []string{test.patch})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want it to contain %q", err, test.want)
			}
		})
	}
}

func TestValidateListsEveryFaultWithItsPath(t *testing.T) {
	for name, test := range map[string]struct {
		config string
		want   []string
	}{
		"unknown keys, in every document": {
			config: "version: v1alpha1\nmachine:\n  kubelet: {nonsense: 1}\n  more: [{a: 1}]\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nfoo: bar\n",
			want: []string{
				"machine.kubelet.nonsense: cannot use a key that no machine config has",
				"machine.more[0].a: cannot use a key that no machine config has",
				"foo: cannot use a key that no machine config has",
			},
		},
		"a document of no known kind keeps its line": {
			config: "version: v1alpha1\nmachine: {}\n---\napiVersion: v1alpha1\nkind: Nonsense\n",
			want:   []string{`error decoding document v1alpha1/Nonsense/ (line 4): "Nonsense" "v1alpha1": not registered`},
		},
		"two of one name": {
			config: "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n",
			want:   []string{"duplicate document v1alpha1/HostnameConfig/ is not allowed (line 5)"},
		},
		"values that do not go together": {
			config: "version: v1alpha1\nmachine:\n  type: worker\ncluster:\n  controlPlane:\n    endpoint: 10.5.0.2\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\nhostname: both\n",
			want: []string{
				"v1alpha1.Config: invalid controlplane endpoint: hostname must not be blank",
				"v1alpha1.Config: feature HostDNS should be enabled in container mode (.machine.features.hostDNS.enabled)",
				"v1alpha1.Config: feature HostDNS should forward kube-dns to host in container mode (.machine.features.hostDNS.forwardKubeDNSToHost)",
				"v1alpha1.Config: issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)",
				"HostnameConfig: 'auto' and 'hostname' cannot be set at the same time",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Validate([]byte(test.config), ModeContainer, false)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStrictMakesFaultsOfWarnings(t *testing.T) {
	config := mustRender(t, testCluster()).Nodes["town-worker-1"]
	config, err := Patch(config, []string{"machine:\n  network:\n    interfaces:\n      - interface: eth9\n        cidr: 10.0.0.1/24\n"})
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := Validate(config, ModeContainer, false)
	if err != nil || len(warnings) == 0 {
		t.Fatalf("warnings %v, error %v", warnings, err)
	}
	if _, err := Validate(config, ModeContainer, true); err == nil {
		t.Error("warnings pass when they are to be faults")
	}
}

// FuzzPatch looks for a config or a patch that ends the program, or makes of a good config one that cannot be read.
func FuzzPatch(f *testing.F) {
	for _, patch := range []string{
		`{"machine":{"nodeLabels":{"a":"b"}}}`,
		"machine:\n  nodeLabels:\n    old:\n      $patch: delete\n",
		"apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n",
		"machine:\n  network:\n    interfaces:\n      - interface: eth0\n        addresses: [10.0.0.1/8]\n",
		`[{"op":"add","path":"/machine/nodeLabels/b","value":"c"},{"op":"move","from":"/machine/type","path":"/machine/token"}]`,
		`[{"op":"test","path":"","value":null},{"op":"copy","from":"/machine","path":"/machine/nodeLabels/x"}]`,
		"- op: remove\n  path: /machine/network/nameservers/0\n",
	} {
		f.Add(testDocuments, patch)
	}
	f.Fuzz(func(t *testing.T, config, patch string) {
		patched, err := Patch([]byte(config), []string{patch})
		if err != nil {
			return
		}
		if _, err := configloader.NewFromBytes(patched); err != nil {
			t.Errorf("the patched config cannot be read: %v", err)
		}
	})
}
