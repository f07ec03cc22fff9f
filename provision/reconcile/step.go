package reconcile

import (
	"time"

	"github.com/bronze-os/bronze/provision"
)

// Action is what a step does. Each can be done again after a crash in the midst of it, and does nothing where it is done.
type Action string

// The actions, in the order in which a plan has them for one node.
const (
	// CreateBalancer makes the cluster's balancer anew, with the control planes that are desired as its backends.
	CreateBalancer Action = "create balancer"
	// TakeSnapshot stores etcd's data, and verifies what it stored.
	TakeSnapshot Action = "take etcd snapshot"
	// Drain closes the Node for new pods and waits until those that can be made elsewhere have left.
	Drain Action = "drain"
	// LeaveEtcd lets a living control plane give its membership up; RemoveMember takes it from a dead one, by member ID.
	LeaveEtcd    Action = "leave etcd"
	RemoveMember Action = "remove etcd member"
	// ReleasePods taints the Node out of service.
	ReleasePods Action = "release pods"
	// DeleteNode deletes the Node of that UID.
	DeleteNode Action = "delete Kubernetes node"
	// RemoveMachine takes away the machine of that ID, and the node's volumes; RemoveVolumes the volumes alone.
	RemoveMachine Action = "remove machine"
	RemoveVolumes Action = "remove volumes"
	// ForgetAffiliate deletes the affiliate of that node ID at every discovery server.
	ForgetAffiliate Action = "forget affiliate"
	// Forget takes the node out of the desired state, Desire puts it in; both tell the balancer and the client contexts.
	Forget Action = "forget"
	Desire Action = "desire"
	// CreateMachine makes the desired node's machine, on its volumes where those survive; StartMachine turns one on.
	CreateMachine Action = "create machine"
	StartMachine  Action = "start machine"
	// AwaitVoter waits until the node is a voter and all living members have the same list; AwaitReady until it is Ready.
	AwaitVoter Action = "await etcd voter"
	AwaitReady Action = "await Ready"
	// Settle ends an add: its nodes are like all others then. Its target is the cluster.
	Settle Action = "settle"
	// Verify asks two living nodes, or the only one, whether the removed is gone and the rest is whole.
	Verify Action = "verify"
)

// Step is one thing to do, with the identity of what it is done to, as it was when the plan was made.
type Step struct {
	Action Action `json:"action"`
	// Target is the node's name.
	Target string `json:"target"`
	// Why is the reason, in words.
	Why string `json:"why"`
	// After holds the indexes of earlier steps that must be done first.
	After []int `json:"after,omitempty"`

	// UID, MachineID, NodeID and MemberID name the Node object, the engine's machine, the affiliate and the etcd member
	// that are meant; empty where the action is not on one.
	UID       string `json:"uid,omitempty"`
	MachineID string `json:"machineID,omitempty"`
	NodeID    string `json:"nodeID,omitempty"`
	MemberID  uint64 `json:"memberID,omitempty"`
	// Absent makes the engine say, right before, that it has no machine for the node: none of MachineID, and none of its
	// name. Steps that clear up after a deleted node have it.
	Absent bool `json:"absent,omitempty"`
	// Witnesses are the living nodes that Verify asks; where it names none, whoever answers is asked.
	Witnesses []string `json:"witnesses,omitempty"`
	// Snapshot is the file that RecoverEtcd founds from.
	Snapshot string `json:"snapshot,omitempty"`
	// Node is what Desire puts in; its machine config is beside the plan, as it holds secrets.
	Node *provision.Node `json:"node,omitempty"`
}

// String is the step in words, such as "create machine dev-worker-4".
func (s Step) String() string {
	return string(s.Action) + " " + s.Target
}

// Forerunners are the steps that it comes after.
func (s Step) Forerunners() []int {
	return s.After
}

// Plan is what is to be done to a cluster, or why nothing may be.
type Plan struct {
	Cluster string `json:"cluster"`
	Steps   []Step `json:"steps"`
	// Refusals are what cannot be done safely, each with what proves it and what to do instead.
	Refusals []Refusal `json:"refusals,omitempty"`
	// Notes are for the user to read: the quorum arithmetic, what waits for a second sighting, what is left alone and why.
	Notes []string `json:"notes,omitempty"`
	// Configs are the machine configs of nodes that Desire puts in, by name.
	Configs map[string][]byte `json:"-"`

	// again asks for another look once the steps are done.
	again bool
	// waits is how long until everything that is missing has been so for long enough.
	waits time.Duration
}

// Refusal is one node that a plan leaves alone though something is wrong with it.
type Refusal struct {
	Node string `json:"node"`
	Why  string `json:"why"`
	// Offer names the command that helps.
	Offer string `json:"offer"`

	// passing tells that it may not stand at the next look, such as while etcd elects.
	passing bool
}
