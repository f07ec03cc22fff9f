// Package picture puts together what five sources say of one cluster: the desired state, the provider's inventory, the
// nodes of Kubernetes, the affiliates and members of discovery, and the members of etcd. They are joined by identity, and
// each node comes out in one explicit state. The joining is pure; look.go asks. It may import provision, and no provider,
// no client of an API.
package picture

import (
	"net/netip"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// Sources is what each source said of one cluster, at one time. A source that did not answer says nothing, and why.
type Sources struct {
	Cluster string `json:"cluster"`
	// At is when the asking began.
	At time.Time `json:"at"`
	// Desired is nil where the cluster is not stored.
	Desired *provision.Cluster `json:"desired,omitempty"`
	// Known are the engine's IDs of the machines that were last seen under the desired nodes' names.
	Known map[string]string `json:"known,omitempty"`
	// Astray says of desired nodes whose known machine is not in the inventory why it is not proven gone: the engine
	// still finds it by ID, or does not say.
	Astray map[string]string `json:"astray,omitempty"`
	// Engine is the inventory; EngineError is why it is not known. Then it proves nothing.
	Engine      provision.Observed `json:"engine"`
	EngineError string             `json:"engineError,omitempty"`
	// Kubernetes is one list of all Nodes.
	Kubernetes      []KubernetesNode `json:"kubernetes"`
	KubernetesError string           `json:"kubernetesError,omitempty"`
	// Interviews are what the nodes themselves say, one for each machine that runs, by the machine's name.
	Interviews map[string]Interview `json:"interviews"`
}

// KubernetesNode is one Node object.
type KubernetesNode struct {
	Name string `json:"name"`
	// UID is Kubernetes's own; a Node that is made anew under its name has another.
	UID string `json:"uid"`
	// MachineID is what the kubelet reports: 32 hexadecimal digits, which a Bronze node derives from its node ID.
	MachineID string     `json:"machineID,omitempty"`
	IP        netip.Addr `json:"ip"`
	// ControlPlane tells that it bears the label of control planes.
	ControlPlane bool `json:"controlPlane"`
	// Ready is the condition, and Heartbeat is when the kubelet last renewed its lease, by the kubelet's clock.
	Ready         bool      `json:"ready"`
	Unschedulable bool      `json:"unschedulable,omitempty"`
	OutOfService  bool      `json:"outOfService,omitempty"`
	Heartbeat     time.Time `json:"heartbeat"`
}

// Interview is what one node says of itself and of its cluster. Error is why it says nothing.
type Interview struct {
	// NodeID is the node's discovery identity: 32 random bytes in base62.
	NodeID string `json:"nodeID,omitempty"`
	// Affiliates are the nodes that it has heard of, itself included, and Members those of them that have a name.
	Affiliates []Affiliate `json:"affiliates,omitempty"`
	Members    []string    `json:"members,omitempty"`
	// Etcd is nil on a worker, and where etcd does not answer.
	Etcd *EtcdAnswer `json:"etcd,omitempty"`
	// EtcdError is why a control plane has no answer of etcd.
	EtcdError string `json:"etcdError,omitempty"`
	Error     string `json:"error,omitempty"`
}

// Affiliate is one node as discovery knows it.
type Affiliate struct {
	NodeID    string         `json:"nodeID"`
	Nodename  string         `json:"nodename,omitempty"`
	Hostname  string         `json:"hostname,omitempty"`
	Role      provision.Role `json:"role"`
	Addresses []netip.Addr   `json:"addresses,omitempty"`
}

// EtcdAnswer is what one member says of etcd.
type EtcdAnswer struct {
	// Self and Leader are member IDs; Leader is 0 where there is none.
	Self   uint64 `json:"self"`
	Leader uint64 `json:"leader"`
	// Members is the list as this member has it, sorted by ID.
	Members []EtcdMember `json:"members"`
	// Alarms are those raised, such as NOSPACE.
	Alarms []string `json:"alarms,omitempty"`
}

// EtcdMember is one member of etcd.
type EtcdMember struct {
	ID uint64 `json:"id"`
	// Name is empty while the member has not started yet.
	Name string `json:"name,omitempty"`
	// IP is that of its peer URL.
	IP      netip.Addr `json:"ip"`
	Learner bool       `json:"learner,omitempty"`
}
