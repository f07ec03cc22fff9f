package machineconfig

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

func TestPatchesReachTheirRole(t *testing.T) {
	const strategic = "machine:\n  sysctls:\n    a: strategic\n"
	const jsonPatch = `[{"op":"add","path":"/machine/sysctls/b","value":"json"}]`
	const yamlJSONPatch = "- op: add\n  path: /machine/sysctls/c\n  value: yaml\n"
	cases := map[string]struct {
		patches              []provision.Patch
		controlPlane, worker map[string]string
	}{
		"one for all": {
			patches:      []provision.Patch{{Body: strategic}},
			controlPlane: map[string]string{"a": "strategic"},
			worker:       map[string]string{"a": "strategic"},
		},
		"JSON patches beside several documents": {
			patches:      []provision.Patch{{Body: strategic}, {Body: jsonPatch}, {Body: yamlJSONPatch}},
			controlPlane: map[string]string{"a": "strategic", "b": "json", "c": "yaml"},
			worker:       map[string]string{"a": "strategic", "b": "json", "c": "yaml"},
		},
		"later ones win": {
			patches: []provision.Patch{
				{Body: strategic},
				{Role: provision.ControlPlane, Body: `{"machine":{"sysctls":{"a":"controlplane"}}}`},
				{Role: provision.Worker, Body: `{"machine":{"sysctls":{"a":"worker"}}}`},
			},
			controlPlane: map[string]string{"a": "controlplane"},
			worker:       map[string]string{"a": "worker"},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := testCluster()
			cluster.Patches = test.patches
			configs := mustRender(t, cluster)
			want := map[string]map[string]string{
				"town-controlplane-1": test.controlPlane,
				"town-worker-1":       test.worker,
			}
			for node, sysctls := range want {
				config := mustLoad(t, configs.Nodes[node])
				if diff := cmp.Diff(sysctls, config.Machine().Sysctls()); diff != "" {
					t.Errorf("%s: %s", node, diff)
				}
				if len(config.Documents()) != 2 {
					t.Errorf("%s has %d documents, want the main one and HostnameConfig", node, len(config.Documents()))
				}
			}
		})
	}
}

func TestPatchesThatCannotBeUsedSayWhy(t *testing.T) {
	cases := map[string]struct{ patch, want string }{
		"unknown key":         {`{"machine":{"nonsense":true}}`, "nonsense"},
		"another role":        {`{"machine":{"type":"worker"}}`, "cannot change machine.type"},
		"invalid value":       {`{"machine":{"features":{"hostDNS":{"enabled":false}}}}`, "HostDNS should be enabled"},
		"path that is absent": {`[{"op":"remove","path":"/machine/nonsense"}]`, "applying config patch 1 (controlplane)"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := testCluster()
			cluster.Patches = []provision.Patch{{Role: provision.ControlPlane, Body: test.patch}}
			bundle, err := Generator{}.NewSecrets(cluster)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Generator{}.Render(cluster, bundle)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want it to contain %q", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}
