package picture

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// fresh is how old a kubelet's heartbeat may be: Kubernetes itself waits that long before it calls a Node lost.
const fresh = 40 * time.Second

// view is all entries, as the state of one depends on others.
type view struct {
	sources Sources
	entries []entry
}

// judge tells the state of an entry, and what that is concluded from.
func (v view) judge(e entry) (State, string) {
	switch {
	case v.sources.EngineError != "":
		return Unreachable, "the engine does not answer, which proves nothing: " + v.sources.EngineError
	case e.node.Machine != nil:
		return v.judgeMachine(e)
	case e.node.Desired != nil:
		return v.judgeLost(e)
	default:
		return v.judgeStranger(e)
	}
}

// judgeMachine is for those that have a machine.
func (v view) judgeMachine(e entry) (State, string) {
	undesired := e.node.Desired == nil && v.sources.Desired != nil
	state, why := ofMachine(*e.node.Machine, e.node.Answer)
	switch {
	case undesired && state == Paused:
		return Paused, why + ", and is not desired"
	case undesired:
		return Foreign, "it is not desired, and there by other hands: " + why
	default:
		return state, why
	}
}

func ofMachine(machine provision.Machine, answer *Answer) (State, string) {
	switch {
	case machine.State == provision.MachinePaused:
		return Paused, "its machine is paused"
	case machine.State == provision.MachineStopped:
		return Stopped, "its machine is stopped"
	case machine.State == provision.MachineCreated:
		return Restarting, "its machine was made and does not run yet"
	case machine.State == provision.MachineRestarting:
		return Restarting, "the engine starts its machine again"
	case machine.State != provision.MachineRunning:
		return Unreachable, fmt.Sprintf("its machine is %q, which proves nothing", machine.State)
	case answer == nil:
		return Unreachable, "its machine runs, and the node could not be asked"
	case answer.Error != "":
		return Unreachable, "its machine runs, and the node does not answer: " + answer.Error
	default:
		return Running, "its machine runs, and the node answers"
	}
}

// judgeLost is for those that are desired and have no machine of their name.
func (v view) judgeLost(e entry) (State, string) {
	name, known := e.node.Desired.Name, e.node.KnownID
	if why := v.sources.Astray[name]; why != "" {
		return Unreachable, "its machine is not proven gone: " + why
	}
	for _, machine := range v.sources.Engine.Machines {
		if machine.ID == known {
			return Unreachable, fmt.Sprintf("its machine %s is still there, as %s", short(known), machine.Name)
		}
	}
	if why := v.doubt(e); why != "" {
		return Unreachable, why
	}
	why := "it is desired, and the engine has no machine of its name"
	if known != "" {
		why += ", nor the one it had, " + short(known)
	}
	return Missing, why
}

// judgeStranger is for those that are neither desired nor have a machine.
func (v view) judgeStranger(e entry) (State, string) {
	if v.sources.Desired == nil {
		return Unreachable, "it has no machine, and nobody knows whether it is desired"
	}
	if why := v.alive(e); why != "" {
		return Foreign, "it is not desired and has no machine here, and yet " + why
	}
	if answer := e.node.Answer; answer != nil {
		return Unreachable, "it is not desired and has no machine here, and does not answer: " + answer.Error
	}
	if v.sources.KubernetesError != "" {
		return Unreachable, "it is not desired and has no machine, and Kubernetes, which could tell whether it lives, does not answer"
	}
	if why := v.doubt(e); why != "" {
		return Unreachable, why
	}
	if e.isVolumes() {
		for _, other := range v.entries {
			if other.key != e.key && other.name() == e.name() {
				return Unreachable, "its volumes may be those of any other node of that name"
			}
		}
		return Ghost, "only its volumes are left: it is not desired and has no machine"
	}
	return Ghost, "it is not desired, does not live, and its address is of the cluster's network, where it has no machine"
}

// alive says what shows that an entry without a machine lives, elsewhere than in this engine.
func (v view) alive(e entry) string {
	if e.node.Answer != nil && e.node.Answer.Error == "" {
		return "it answers"
	}
	if node := e.node.Kubernetes; node != nil {
		age := v.sources.At.Sub(node.Heartbeat)
		switch {
		case node.Ready:
			return "Kubernetes says that it is Ready"
		case age.Abs() < fresh:
			return "its kubelet was heard a moment ago"
		}
	}
	if !e.isVolumes() && !v.inside(e) {
		return "its address is not of the cluster's network"
	}
	return ""
}

// isVolumes tells an entry that has volumes and nothing else.
func (e entry) isVolumes() bool {
	node := e.node
	return len(node.Volumes) > 0 && node.Answer == nil && node.Kubernetes == nil && node.Affiliate == nil && node.Etcd == nil
}

// inside tells whether each source has an address of the cluster's network for the entry.
func (v view) inside(e entry) bool {
	var subnets []netip.Prefix
	for _, network := range v.sources.Engine.Networks {
		subnets = append(subnets, network.Subnet)
	}
	if len(subnets) == 0 {
		subnets = append(subnets, v.sources.Desired.Network.Subnet)
	}
	ours := func(ip netip.Addr) bool {
		return slices.ContainsFunc(subnets, func(subnet netip.Prefix) bool { return subnet.Contains(ip.Unmap()) })
	}
	if node := e.node.Kubernetes; node != nil && !ours(node.IP) {
		return false
	}
	if member := e.node.Etcd; member != nil && !ours(member.IP) {
		return false
	}
	affiliate := e.node.Affiliate
	return affiliate == nil || slices.ContainsFunc(affiliate.Addresses, ours)
}

// doubt says which machine of another entry may be what this entry is about. A machine that was renamed still goes by
// the old name with all others; and one that does not say who it is may be anybody of its name or of its address.
func (v view) doubt(e entry) string {
	for _, other := range v.entries {
		machine := other.node.Machine
		if machine == nil || other.key == e.key {
			continue
		}
		renamed := e.node.Desired != nil && slices.Contains(other.claims(), face{e.node.Desired.Name, e.node.Desired.IP.Unmap()})
		switch {
		case renamed:
			return fmt.Sprintf("machine %s answers under its name and address, so it may have been renamed", machine.Name)
		case (other.owns(e.name()) || sharesName(other, e) || sharesIP(other, e)) && !other.denies(e):
			return fmt.Sprintf("machine %s has its name or its address, and does not say who it is", machine.Name)
		}
	}
	return ""
}

// denies tells whether the node has told all the identities that would have joined it with the other, were it that.
func (e entry) denies(other entry) bool {
	answer := e.node.Answer
	if answer == nil || answer.NodeID == "" {
		return false
	}
	return other.memberID() == 0 || answer.Member != 0 || e.role() == provision.Worker
}

// short is enough of an engine's ID to find it.
func short(id string) string {
	const digits = 12
	if len(id) > digits {
		return id[:digits]
	}
	return id
}
