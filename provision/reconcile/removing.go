package reconcile

import (
	"slices"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// removing puts the steps of a removal together.
type removing struct {
	cluster provision.Cluster
	picture picture.Picture
	// doomed are the nodes that go, in order.
	doomed []picture.Node
	force  bool
	molds  map[string]Mold
	steps  planned
}

// plan takes the doomed out of all sources: members of etcd one after another, all others side by side, and the desired
// state last.
func (r *removing) plan() []Step {
	var before, cleared []int
	for _, node := range r.doomed {
		if node.Etcd == nil && node.Role != provision.ControlPlane {
			cleared = append(cleared, r.clear(node, nil)...)
			continue
		}
		before = r.clear(node, before)
		cleared = append(cleared, before...)
	}
	for _, node := range r.doomed {
		if node.Desired != nil || node.Machine != nil {
			cleared = r.steps.add(Step{Action: Forget, Target: node.Name, Why: "nothing of it is left", After: cleared})
		}
	}
	return r.steps
}

// clear appends the steps that leave nothing of a node but the desired state, and answers what comes after them. The
// machine goes before the Node and the affiliate: a node that lives would tell of itself again.
func (r *removing) clear(node picture.Node, after []int) []int {
	if node.Machine != nil && node.Desired == nil {
		step := takeIn(r.cluster, node, r.molds[node.Name], "what is removed is desired until nothing is left of it")
		step.After = after
		after = r.steps.add(step)
	}
	lives := node.Machine != nil && node.Answer != nil && node.Answer.Error == ""
	if node.Kubernetes != nil && lives && !r.force {
		after = r.add(node, Drain, "its pods are to leave in order", after)
	}
	after = r.clearEtcd(node, after)
	switch {
	case node.Machine != nil:
		after = r.add(node, RemoveMachine, "it was asked for", after)
	case len(node.Volumes) > 0:
		after = r.add(node, RemoveVolumes, "its volumes are left", after)
	}
	if node.Kubernetes != nil {
		if !lives || r.force {
			after = r.add(node, ReleasePods, "its pods are to be made elsewhere at once", after)
		}
		after = r.add(node, DeleteNode, "Kubernetes knows it", after)
	}
	if node.Affiliate != nil {
		after = r.add(node, ForgetAffiliate, "discovery knows it", after)
	}
	return r.add(node, Verify, "nobody may know it any more", after)
}

// clearEtcd lets the node's member leave, or removes it where it cannot.
func (r *removing) clearEtcd(node picture.Node, after []int) []int {
	switch {
	case node.Etcd == nil:
		return after
	case answersForItself(node):
		return r.add(node, LeaveEtcd, "it is a member of etcd", after)
	default:
		after = r.add(node, TakeSnapshot, "before a member is removed that cannot leave", after)
		return r.add(node, RemoveMember, "it is a member of etcd, and cannot leave by itself", after)
	}
}

// add appends a step on a node, with the node's identities.
func (r *removing) add(node picture.Node, action Action, why string, after []int) []int {
	step := Step{Action: action, Target: node.Name, Why: why, After: after, MachineID: node.KnownID, Absent: r.absent(node)}
	if node.Machine != nil {
		step.MachineID = node.Machine.ID
	}
	if node.Kubernetes != nil {
		step.UID = node.Kubernetes.UID
	}
	if node.Affiliate != nil {
		step.NodeID = node.Affiliate.NodeID
	}
	if node.Etcd != nil {
		step.MemberID = node.Etcd.ID
	}
	if action == Verify {
		step.Witnesses = r.witnesses()
	}
	return r.steps.add(step)
}

// absent tells whether the engine is to say again that there is no machine of the node's name. One that bears the name of
// a dead node goes with it.
func (r *removing) absent(node picture.Node) bool {
	return !slices.ContainsFunc(r.doomed, func(d picture.Node) bool { return d.Name == node.Name && d.Machine != nil })
}

// witnesses are two nodes that live and stay, control planes before others.
func (r *removing) witnesses() []string {
	const enough = 2
	var found []string
	for _, node := range r.picture.Nodes {
		stays := !slices.ContainsFunc(r.doomed, func(d picture.Node) bool { return d.Name == node.Name })
		if stays && node.State == picture.Running && len(found) < enough {
			found = append(found, node.Name)
		}
	}
	return found
}
