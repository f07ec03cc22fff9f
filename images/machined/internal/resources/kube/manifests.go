package kube

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// hidden stands for what a Secret holds: manifests are for everybody who may read.
const hidden = "***"

// Manifests are what a control plane brings to the cluster, by the names of their groups. Where all of it is there, they
// are applied.
func Manifests(groups map[string][]kubeapi.Object, applied bool) *publish.Set {
	var set publish.Set
	set.Kind(&k8s.Manifest{}, &k8s.ManifestStatus{})

	status := k8s.NewManifestStatus(k8s.ControlPlaneNamespaceName)

	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if len(groups[name]) == 0 {
			continue
		}

		manifest := k8s.NewManifest(k8s.ControlPlaneNamespaceName, name)
		for _, object := range groups[name] {
			manifest.TypedSpec().Items = append(manifest.TypedSpec().Items, k8s.SingleManifest{Object: withoutSecrets(object)})
		}

		set.Add(manifest)

		if applied {
			status.TypedSpec().ManifestsApplied = append(status.TypedSpec().ManifestsApplied, name)
		}
	}

	set.Add(status)

	return &set
}

// withoutSecrets answers a copy: whoever applies the object goes on changing it.
func withoutSecrets(object kubeapi.Object) map[string]any {
	var shown kubeapi.Object

	// What came out of JSON or YAML always goes through it again.
	text, _ := json.Marshal(object)
	_ = json.Unmarshal(text, &shown)

	if object.Kind() != "Secret" {
		return shown
	}

	for _, field := range []string{"data", "stringData"} {
		for name := range object.Map(field) {
			shown.Set(hidden, field, name)
		}
	}

	return shown
}
