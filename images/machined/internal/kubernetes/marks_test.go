package kubernetes

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// parsed reads JSON as the API would send it.
func parsed(t *testing.T, text string) kubeapi.Object {
	t.Helper()

	var object kubeapi.Object
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}

	return object
}

// asJSON makes values comparable to parsed ones.
func asJSON(t *testing.T, value any) kubeapi.Object {
	t.Helper()

	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}

	return parsed(t, string(text))
}

func TestPatchBringsANodeToItsMarks(t *testing.T) {
	for _, tc := range []struct {
		name        string
		marks       Marks
		node, patch string
	}{
		{"nothing on nothing", Marks{}, `{"metadata": {"resourceVersion": "1"}}`, `{}`},
		{
			"a first label",
			Marks{Labels: map[string]string{"a": "1"}},
			`{"metadata": {"resourceVersion": "1", "labels": {"x": "y"}}}`,
			`{"metadata": {"resourceVersion": "1", "labels": {"a": "1"}, "annotations": {"talos.dev/owned-labels": "[\"a\"]"}}}`,
		},
		{
			"a label that is there",
			Marks{Labels: map[string]string{"a": "1"}},
			`{"metadata": {"labels": {"a": "1"}, "annotations": {"talos.dev/owned-labels": "[\"a\"]"}}}`,
			`{}`,
		},
		{
			"a label that left the config, one that changed, one that is another's",
			Marks{Labels: map[string]string{"b": "2"}},
			`{"metadata": {"resourceVersion": "1", "labels": {"a": "1", "b": "1", "x": "y"}, "annotations": {"talos.dev/owned-labels": "[\"a\",\"b\"]"}}}`,
			`{"metadata": {"resourceVersion": "1", "labels": {"a": null, "b": "2"}, "annotations": {"talos.dev/owned-labels": "[\"b\"]"}}}`,
		},
		{
			"the last label",
			Marks{},
			`{"metadata": {"resourceVersion": "1", "labels": {"a": "1"}, "annotations": {"talos.dev/owned-labels": "[\"a\"]"}}}`,
			`{"metadata": {"resourceVersion": "1", "labels": {"a": null}, "annotations": {"talos.dev/owned-labels": null}}}`,
		},
		{
			"annotations",
			Marks{Annotations: map[string]string{"n": "1"}},
			`{"metadata": {"resourceVersion": "1", "annotations": {"o": "1", "talos.dev/owned-annotations": "[\"o\"]"}}}`,
			`{"metadata": {"resourceVersion": "1", "annotations": {"n": "1", "o": null, "talos.dev/owned-annotations": "[\"n\"]"}}}`,
		},
		{
			"a taint that the kubelet has brought becomes the config's",
			Marks{Taints: map[string]Taint{"k": {Effect: "NoSchedule"}}},
			`{"metadata": {"resourceVersion": "1"}, "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}`,
			`{"metadata": {"resourceVersion": "1", "annotations": {"talos.dev/owned-taints": "[\"k\"]"}}}`,
		},
		{
			"a taint that left, one that changed, others' stay",
			Marks{Taints: map[string]Taint{"b": {Value: "v", Effect: "NoExecute"}}},
			`{"metadata": {"resourceVersion": "1", "annotations": {"talos.dev/owned-taints": "[\"a\",\"b\"]"}}, "spec": {"taints": [
				{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"},
				{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]}}`,
			`{"metadata": {"resourceVersion": "1", "annotations": {"talos.dev/owned-taints": "[\"b\"]"}}, "spec": {"taints": [
				{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
				{"key": "b", "value": "v", "effect": "NoExecute"}]}}`,
		},
		{
			"the last taint",
			Marks{},
			`{"metadata": {"resourceVersion": "1", "annotations": {"talos.dev/owned-taints": "[\"a\"]"}}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}`,
			`{"metadata": {"resourceVersion": "1", "annotations": {"talos.dev/owned-taints": null}}, "spec": {"taints": []}}`,
		},
		{
			"an annotation that nobody can read owns nothing",
			Marks{Labels: map[string]string{"a": "1"}},
			`{"metadata": {"resourceVersion": "1", "labels": {"a": "1", "b": "1"}, "annotations": {"talos.dev/owned-labels": "b"}}}`,
			`{"metadata": {"resourceVersion": "1", "annotations": {"talos.dev/owned-labels": "[\"a\"]"}}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(parsed(t, tc.patch), asJSON(t, tc.marks.Patch(parsed(t, tc.node)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTaintsOfTheConfigAreRead(t *testing.T) {
	want := map[string]Taint{
		"a": {Value: "v", Effect: "NoSchedule"}, "b": {Effect: "NoExecute"}, "c": {Effect: "NoSchedule"},
		"node-role.kubernetes.io/control-plane": {Effect: "NoSchedule"},
	}

	if diff := cmp.Diff(want, Taints(map[string]string{"a": "v:NoSchedule", "b": "NoExecute", "c": ":NoSchedule"}, true)); diff != "" {
		t.Error(diff)
	}

	if got := Taints(nil, false); len(got) > 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestKubeletKeepsToLabelsThatItMayHave(t *testing.T) {
	allowed, refused := Marks{
		Labels: map[string]string{
			"rack": "", "example.org/rack": "", "topology.kubernetes.io/zone": "", "node.kubernetes.io/x": "", "a.node.kubernetes.io/x": "",
			"node-role.kubernetes.io/storage": "", "x.k8s.io/y": "", "node-restriction.kubernetes.io/x": "", "notkubernetes.io/x": "",
		},
		Taints: map[string]Taint{"a": {}},
	}.MayMark()

	want := map[string]string{
		"rack": "", "example.org/rack": "", "topology.kubernetes.io/zone": "", "node.kubernetes.io/x": "", "a.node.kubernetes.io/x": "", "notkubernetes.io/x": "",
	}
	if diff := cmp.Diff(want, allowed.Labels); diff != "" || len(allowed.Taints) > 0 {
		t.Errorf("allowed taints %v, labels %s", allowed.Taints, diff)
	}

	if diff := cmp.Diff([]string{"node-restriction.kubernetes.io/x", "node-role.kubernetes.io/storage", "x.k8s.io/y"}, refused); diff != "" {
		t.Error(diff)
	}
}
