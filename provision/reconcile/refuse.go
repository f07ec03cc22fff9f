package reconcile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// mayClear tells whether a node may be cleared out, and refuses with what to do instead where it may not.
func (m *missingPlan) mayClear(node picture.Node) bool {
	if isControlPlane(node) && !m.mayLose(node) {
		return false
	}
	if silent := m.silences(node); len(silent) > 0 {
		m.doubt(node, errors.Join(silent...).Error(), "run it again when all of the cluster's APIs answer")
		return false
	}
	return true
}

// mayLose tells whether a control plane may be cleared out: never the endpoint itself, and no member that a majority does
// not spare.
func (m *missingPlan) mayLose(node picture.Node) bool {
	cluster := m.facts.Record.Cluster
	resurrect := fmt.Sprintf("bronze cluster reconcile %s --missing resurrect", m.Cluster)
	if cluster.Balancer == nil && node.Desired != nil && node.Name == cluster.Founder().Name {
		m.refuse(node.Name, "it is the cluster's endpoint, as the cluster has no balancer", resurrect)
		return false
	}
	if _, silent := m.picture.Silent[picture.Etcd]; silent {
		m.refuseWithoutQuorum(node, "no member of etcd answers, so that there is no quorum: "+m.head())
		return false
	}
	if node.Etcd == nil {
		m.note("etcd: %s; %s is no member", m.votes, node.Name)
		return true
	}
	why := m.votes.whyNot(*node.Etcd)
	switch {
	case why == "":
		return true
	case m.votes.alive < majority(m.votes.members):
		m.refuseWithoutQuorum(node, why)
	default:
		m.doubt(node, why, "run it again when etcd has settled")
	}
	return false
}

// head counts the control planes where etcd cannot.
func (m *missingPlan) head() string {
	running, all := m.controlPlanes()
	return fmt.Sprintf("%d control planes are desired, %d of them run, %d needed", all, running, majority(all))
}

func (m *missingPlan) controlPlanes() (running, all int) {
	for _, node := range m.picture.Nodes {
		if node.Desired == nil || node.Role != provision.ControlPlane {
			continue
		}
		all++
		if node.Machine != nil && node.Machine.State == provision.MachineRunning {
			running++
		}
	}
	return running, all
}

// refuseWithoutQuorum offers what brings a majority back, and says what would be lost.
func (m *missingPlan) refuseWithoutQuorum(node picture.Node, why string) {
	if running, all := m.controlPlanes(); running >= majority(all) {
		m.doubt(node, why, "run it again when etcd has a leader")
		return
	}
	var asleep []string
	for _, other := range m.picture.Nodes {
		if isControlPlane(other) && (other.State == picture.Stopped || other.State == picture.Paused) {
			asleep = append(asleep, other.Name)
		}
	}
	if len(asleep) > 0 {
		m.refuse(node.Name, why, fmt.Sprintf("bronze cluster start %s first: %s may bring the quorum back", m.Cluster, strings.Join(asleep, ", ")))
		return
	}
	if lost := lostForGood(node); lost != nil {
		m.refuse(node.Name, fmt.Sprintf("%s; %s", why, strings.ReplaceAll(lost.Error(), "\n", ", ")),
			fmt.Sprintf("bronze cluster reconcile %s --missing resurrect for those whose volumes survived, then bronze etcd recover %s: "+
				"what was written after the newest snapshot is lost", m.Cluster, m.Cluster))
		return
	}
	m.refuse(node.Name, why+"; its volumes survived it", fmt.Sprintf("bronze cluster reconcile %s --missing resurrect, by which nothing is lost; "+
		"if that does not help, bronze etcd recover %s: what was written after the newest snapshot is lost", m.Cluster, m.Cluster))
}

// doubt is a refusal that may not stand at the next look, unless no control plane runs that could answer then.
func (m *missingPlan) doubt(node picture.Node, why, offer string) {
	running, _ := m.controlPlanes()
	m.Refusals = append(m.Refusals, Refusal{Node: node.Name, Why: why, Offer: offer, passing: running > 0})
}
