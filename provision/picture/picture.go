package picture

import (
	"github.com/bronze-os/bronze/provision"
)

// State is what a node is, all sources considered.
type State string

// The states of a node.
const (
	// Running: its machine runs and the node answers.
	Running State = "running"
	// Paused: its machine is frozen. That is not dead: it may go on at any time.
	Paused State = "paused"
	// Stopped: its machine is there and does not run.
	Stopped State = "stopped"
	// Restarting: its machine was made and does not run yet, or its engine starts it again.
	Restarting State = "restarting"
	// Unreachable: its machine runs and the node does not answer, or the engine does not say how it is.
	Unreachable State = "unreachable"
	// Missing: it is desired, and the engine says that it has no machine for it.
	Missing State = "missing"
	// Foreign: it is not desired and there, made by somebody else: a machine that bears the cluster's labels, or a node
	// that lives on no machine of this engine.
	Foreign State = "foreign"
	// Ghost: only Kubernetes, discovery or etcd know it, and nothing is behind that any more.
	Ghost State = "ghost"
)

// Picture is one cluster, all sources considered.
type Picture struct {
	Cluster string `json:"cluster"`
	// Nodes are sorted: control planes, workers, those of no known role; by name, then identity.
	Nodes []Node `json:"nodes"`
	// Silent says of each source that did not answer why; its keys are the names of Source.
	Silent map[Source]string `json:"silent,omitempty"`
	Quorum Quorum            `json:"quorum"`
}

// Source names one of the five.
type Source string

// The sources.
const (
	Desired    Source = "desired state"
	Engine     Source = "engine"
	Kubernetes Source = "kubernetes"
	Discovery  Source = "discovery"
	Etcd       Source = "etcd"
)

// Node is one node with all that is known of it. What a source does not know is nil, or empty.
type Node struct {
	Name  string         `json:"name"`
	Role  provision.Role `json:"role,omitempty"`
	State State          `json:"state"`
	// Why says what the state was concluded from.
	Why string `json:"why"`
	// Disagreements are what sources say otherwise than the state lets expect, in words.
	Disagreements []string `json:"disagreements,omitempty"`

	Desired    *provision.Node    `json:"desired,omitempty"`
	Machine    *provision.Machine `json:"machine,omitempty"`
	Volumes    []provision.Volume `json:"volumes,omitempty"`
	Kubernetes *KubernetesNode    `json:"kubernetes,omitempty"`
	Affiliate  *Affiliate         `json:"affiliate,omitempty"`
	// HeardBy are the names of the living nodes that know the affiliate.
	HeardBy []string    `json:"heardBy,omitempty"`
	Etcd    *EtcdMember `json:"etcd,omitempty"`
	// KnownID is the engine's ID of the machine that was last seen under this name; empty where none was.
	KnownID string `json:"knownID,omitempty"`
	// Answer is what the node says of itself; nil where it was not asked.
	Answer *Answer `json:"answer,omitempty"`
}

// Answer is what a node says of itself alone. Error is why it says nothing.
type Answer struct {
	NodeID string `json:"nodeID,omitempty"`
	// Member is its ID in etcd; 0 where it has none, or does not say.
	Member    uint64   `json:"member,omitempty"`
	Alarms    []string `json:"alarms,omitempty"`
	EtcdError string   `json:"etcdError,omitempty"`
	Error     string   `json:"error,omitempty"`
}

// Quorum is the arithmetic of etcd.
type Quorum struct {
	// Members are all voters, Alive those whose own node answers for them, Needed is the majority of Members, and at
	// least 1.
	Members int `json:"members"`
	Alive   int `json:"alive"`
	Needed  int `json:"needed"`
	// Learners are members that do not vote yet, or have not started. One that votes and has not started is among
	// Members too.
	Learners int `json:"learners,omitempty"`
	// Agreed tells that all living members have the same list and the same leader, and that there are any.
	Agreed bool `json:"agreed"`
	// Leader is the node that leads; empty where none does or nobody can tell.
	Leader string `json:"leader,omitempty"`
}
