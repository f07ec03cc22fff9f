package reconcile

import (
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision/picture"
)

// About is the part of a plan that concerns one of the picture's nodes: the steps done to it, to what replaces it, and
// those that they wait for alone; what is refused of it; and the notes that name it, or no node at all.
func (p Plan) About(node picture.Node, all picture.Picture) Plan {
	part := Plan{Cluster: p.Cluster, Steps: []Step{}, Configs: p.Configs}
	place := map[int]int{}
	for i, step := range p.Steps {
		if !p.concerns(i, node) {
			continue
		}
		step.After = nil
		for _, before := range p.Steps[i].After {
			if at, kept := place[before]; kept {
				step.After = append(step.After, at)
			}
		}
		place[i] = len(part.Steps)
		part.Steps = append(part.Steps, step)
	}
	for _, refusal := range p.Refusals {
		if refusal.Node == node.Name || refusal.Node == p.Cluster {
			part.Refusals = append(part.Refusals, refusal)
		}
	}
	for _, note := range p.Notes {
		named := slices.ContainsFunc(all.Nodes, func(n picture.Node) bool { return namedIn(note, n.Name) })
		if !named || namedIn(note, node.Name) {
			part.Notes = append(part.Notes, note)
		}
	}
	return part
}

// concerns tells whether a step is one for the node: it is done to the node or to its successor, or is the cluster's and
// done before such a step.
func (p Plan) concerns(i int, node picture.Node) bool {
	step := p.Steps[i]
	if p.isDoneTo(step, node) {
		return true
	}
	isFor := func(later Step) bool { return slices.Contains(later.After, i) && p.isDoneTo(later, node) }
	return step.Action == CreateBalancer || step.Target == p.Cluster && slices.ContainsFunc(p.Steps, isFor)
}

func (p Plan) isDoneTo(step Step, node picture.Node) bool {
	for _, other := range p.Steps {
		if other.Node != nil && other.Node.Replaces == node.Name && node.Desired != nil && step.Target == other.Target {
			return true
		}
	}
	named := step.Target == node.Name || node.Kubernetes != nil && step.Target == node.Kubernetes.Name
	return named && !isAnothers(step, node)
}

// isAnothers tells whether a step is done to another of that name.
func isAnothers(step Step, node picture.Node) bool {
	differs := func(meant, own string) bool { return meant != "" && meant != own }
	var uid, nodeID string
	var member uint64
	if node.Kubernetes != nil {
		uid = node.Kubernetes.UID
	}
	if node.Affiliate != nil {
		nodeID = node.Affiliate.NodeID
	}
	if node.Etcd != nil {
		member = node.Etcd.ID
	}
	return differs(step.UID, uid) || differs(step.NodeID, nodeID) || step.MemberID != 0 && step.MemberID != member
}

// namedIn tells whether a note has the name as a word.
func namedIn(note, name string) bool {
	return slices.ContainsFunc(strings.Fields(note), func(word string) bool { return strings.Trim(word, `.,;:()"`) == name })
}
