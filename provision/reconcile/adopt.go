package reconcile

import (
	"fmt"
	"slices"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// handmade are the nodes that have a machine with the cluster's labels, and are not desired.
func handmade(p picture.Picture) []picture.Node {
	return slices.DeleteFunc(slices.Clone(p.Nodes), func(n picture.Node) bool { return n.Machine == nil || n.Desired != nil })
}

// adoptable tells why a node that was made by hand cannot be adopted yet; it is empty where it can be.
func adoptable(node picture.Node) string {
	switch {
	case node.Machine.Role != provision.Worker && node.Machine.Role != provision.ControlPlane:
		return fmt.Sprintf("its label talos.type is %q, and no role", node.Machine.Role)
	case node.Machine.State != provision.MachineRunning:
		return fmt.Sprintf("its machine is %s: start it", node.Machine.State)
	case node.Kubernetes == nil:
		return "Kubernetes does not know it: it was made with the machine config of another cluster, or is joining still"
	default:
		return ""
	}
}

// Adoptees are the nodes that PlanAdopt would take in.
func Adoptees(p picture.Picture) []picture.Node {
	return slices.DeleteFunc(handmade(p), func(n picture.Node) bool { return adoptable(n) != "" })
}

// PlanAdopt plans to desire the nodes that were made by hand and are members of the cluster. Molds are those of Adoptees,
// by name: what their machines were made with.
func PlanAdopt(cluster provision.Cluster, p picture.Picture, molds map[string]Mold) Plan {
	plan := Plan{Cluster: cluster.Name, Configs: map[string][]byte{}}
	var steps planned
	for _, found := range handmade(p) {
		if why := adoptable(found); why != "" {
			plan.Notes = append(plan.Notes, fmt.Sprintf("%s is not adopted: %s", found.Name, why))
			continue
		}
		plan.Configs[found.Name] = molds[found.Name].Config
		last := steps.add(takeIn(cluster, found, molds[found.Name], "it is a member, and was made by other hands"))
		if found.Role == provision.ControlPlane {
			last = steps.add(Step{Action: AwaitVoter, Target: found.Name, Why: "a control plane votes", After: last})
		}
		if cluster.Expect.NodesReady {
			steps.add(Step{Action: AwaitReady, Target: found.Name, Why: "it is adopted when it takes pods", After: last})
		}
	}
	plan.Steps = steps
	if len(steps) == 0 {
		plan.Notes = append(plan.Notes, "there is nothing to adopt")
	}
	return plan
}

// takeIn is the step that desires a node which has a machine already.
func takeIn(cluster provision.Cluster, found picture.Node, mold Mold, why string) Step {
	node := mold.Node
	node.Name, node.Role, node.IP = found.Machine.Name, found.Machine.Role, found.Machine.IP
	if found.Machine.Image != cluster.Image {
		node.Image = found.Machine.Image
	}
	return Step{Action: Desire, Target: node.Name, Node: &node, MachineID: found.Machine.ID, Why: why}
}
