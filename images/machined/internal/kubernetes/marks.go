package kubernetes

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/constants"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// RoleLabel is the label and the taint of control planes.
const RoleLabel = "node-role.kubernetes.io/control-plane"

// Marks are what a machine config puts on its own Node. An annotation of the Node remembers which of them are there
// because of it, as Talos's do, so that one that leaves the config leaves the Node.
type Marks struct {
	Labels, Annotations map[string]string
	// Taints are by their key.
	Taints map[string]Taint
}

// Taint keeps pods that do not tolerate it off a Node.
type Taint struct {
	Value, Effect string
}

// Taints reads the taints of a machine config, key: value:Effect or key: Effect, and adds the one that keeps workloads
// off a control plane unless they may run there.
func Taints(asked map[string]string, reserved bool) map[string]Taint {
	taints := map[string]Taint{}

	if reserved {
		taints[RoleLabel] = Taint{Effect: "NoSchedule"}
	}

	for key, text := range asked {
		value, effect, found := strings.Cut(text, ":")
		if !found {
			value, effect = "", text
		}

		taints[key] = Taint{Value: value, Effect: effect}
	}

	return taints
}

// Patch answers the merge patch that brings a Node to the marks; it is empty where the Node bears them.
func (m Marks) Patch(node kubeapi.Object) map[string]any {
	annotations := changes(node, "annotations", constants.AnnotationOwnedAnnotations, m.Annotations)
	labels := changes(node, "labels", constants.AnnotationOwnedLabels, m.Labels)
	taints, changed := m.taints(node)

	owns(node, annotations, constants.AnnotationOwnedAnnotations, slices.Sorted(maps.Keys(m.Annotations)))
	owns(node, annotations, constants.AnnotationOwnedLabels, slices.Sorted(maps.Keys(m.Labels)))
	owns(node, annotations, constants.AnnotationOwnedTaints, slices.Sorted(maps.Keys(m.Taints)))

	patch := kubeapi.Object{}

	if len(labels) > 0 {
		patch.Set(labels, "metadata", "labels")
	}

	if len(annotations) > 0 {
		patch.Set(annotations, "metadata", "annotations")
	}

	if changed {
		patch.Set(taints, "spec", "taints")
	}

	if len(patch) > 0 {
		// A patch replaces all taints; one that was made from another state of the Node is refused.
		patch.Set(node.Text("metadata", "resourceVersion"), "metadata", "resourceVersion")
	}

	return patch
}

// changes are the entries of a map of the Node's metadata that are to be set, and, as nil, those that are to go.
func changes(node kubeapi.Object, field, owned string, wanted map[string]string) map[string]any {
	changes := map[string]any{}
	current := node.Map("metadata", field)

	for _, name := range ownedNames(node, owned) {
		if _, there := current[name]; there {
			changes[name] = nil
		}
	}

	for name, value := range wanted {
		delete(changes, name)

		if found, there := current[name]; !there || found != value {
			changes[name] = value
		}
	}

	return changes
}

// owns notes in changes which names are the machine config's.
func owns(node kubeapi.Object, changes map[string]any, annotation string, names []string) {
	before, there := node.Map("metadata", "annotations")[annotation]

	if len(names) == 0 {
		if there {
			changes[annotation] = nil
		}

		return
	}

	text, err := json.Marshal(names)
	if err != nil {
		// Strings always encode.
		panic(err)
	}

	if before != string(text) {
		changes[annotation] = string(text)
	}
}

// ownedNames reads what an earlier owns noted; what nobody can read owns nothing.
func ownedNames(node kubeapi.Object, annotation string) []string {
	var names []string
	if json.Unmarshal([]byte(node.Text("metadata", "annotations", annotation)), &names) != nil {
		return nil
	}

	return names
}

// taints answers all taints that the Node is to have, and whether it has others.
func (m Marks) taints(node kubeapi.Object) ([]kubeapi.Object, bool) {
	owned := ownedNames(node, constants.AnnotationOwnedTaints)
	taints, changed := []kubeapi.Object{}, false
	there := map[string]bool{}

	for _, taint := range node.List("spec", "taints") {
		key := taint.Text("key")
		wanted, ours := m.Taints[key]

		switch {
		case ours && wanted == Taint{taint.Text("value"), taint.Text("effect")}:
			there[key] = true
		case ours && wanted.Effect == taint.Text("effect"), slices.Contains(owned, key):
			changed = true
			continue
		}

		taints = append(taints, taint)
	}

	for _, key := range slices.Sorted(maps.Keys(m.Taints)) {
		if !there[key] {
			changed = true
			taints = append(taints, kubeapi.Object{"key": key, "value": m.Taints[key].Value, "effect": m.Taints[key].Effect})
		}
	}

	return taints, changed
}

// MayMark answers what of the marks a kubelet may put on its own Node, and the names of the rest. Kubernetes keeps its
// own domains to itself, but for some names, and taints to whoever made the Node
// (k8s.io/kubernetes/plugin/pkg/admission/noderestriction).
func (m Marks) MayMark() (allowed Marks, refused []string) {
	allowed = Marks{Labels: map[string]string{}, Annotations: m.Annotations}

	for name, value := range m.Labels {
		if mayLabel(name) {
			allowed.Labels[name] = value
		} else {
			refused = append(refused, name)
		}
	}

	slices.Sort(refused)

	return allowed, refused
}

func mayLabel(name string) bool {
	domain, _, found := strings.Cut(name, "/")
	if !found {
		return true
	}

	within := func(parent string) bool { return domain == parent || strings.HasSuffix(domain, "."+parent) }

	switch {
	case within("node-restriction.kubernetes.io"):
		return false
	case within("kubelet.kubernetes.io"), within("node.kubernetes.io"):
		return true
	case within("kubernetes.io"), within("k8s.io"):
		return slices.Contains([]string{
			"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
			"topology.kubernetes.io/region", "topology.kubernetes.io/zone",
		}, name)
	default:
		return true
	}
}
