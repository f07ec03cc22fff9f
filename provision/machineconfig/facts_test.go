package machineconfig

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

// TestFactsMakeTheSameConfigsAgain renders with the secrets that a control plane's config gives back.
func TestFactsMakeTheSameConfigsAgain(t *testing.T) {
	cluster := testCluster()
	configs := mustRender(t, cluster)
	facts, err := FactsOf(configs.Nodes["town-controlplane-1"])
	if err != nil {
		t.Fatal(err)
	}
	if facts.Endpoint != cluster.Endpoint || facts.Expect != configs.Expect {
		t.Errorf("facts: %s, %+v", facts.Endpoint, facts.Expect)
	}
	again, err := Generator{}.Render(cluster, facts.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range configs.Nodes {
		if diff := cmp.Diff(string(config), string(again.Nodes[name])); diff != "" {
			t.Errorf("%s (-before +again):\n%s", name, diff)
		}
	}
}

func TestFactsTellWhatHealthThePatchesLeave(t *testing.T) {
	config := configured(t, testCluster().Nodes[0], "cluster: {coreDNS: {disabled: true}}")
	facts, err := FactsOf(config)
	if want := (provision.Expect{NodesReady: true}); err != nil || facts.Expect != want {
		t.Errorf("expects %+v, %v, want %+v", facts.Expect, err, want)
	}
}

func TestAWorkerHasNoFacts(t *testing.T) {
	_, err := FactsOf(configured(t, source()))
	if err == nil || !strings.Contains(err.Error(), "not that of a control plane") {
		t.Errorf("error %v", err)
	}
}
