// Package reconcile brings a cluster's nodes from what is observed to what is desired: it adds nodes, removes them, and
// clears up after those that were deleted brutally. Plans are pure functions of a picture and print as steps with reasons;
// then they are done, and verified from two living nodes. It may import provision, provision/picture,
// provision/backup and provision/machineconfig, and no provider, no client of an API: apis.go says what it needs of those.
package reconcile

import (
	"context"
	"io"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Engine is what a provider can do for reconciling beyond provision.Provider. All of it is in both, or the provider's
// clusters cannot be reconciled.
type Engine interface {
	provision.Provider
	// Machine looks for a machine by the engine's own ID, whatever its name and labels are now. There is none where found
	// is false; an engine that does not answer is an error.
	Machine(ctx context.Context, id string) (machine provision.Machine, found bool, err error)
	// Inspect tells what the machine was made with: the node's size, ports, mounts and address, and its machine config
	// (multi-document YAML), which is empty where it was made with none.
	Inspect(ctx context.Context, machine provision.Machine) (node provision.Node, machineConfig []byte, err error)
	// Watch calls heard once for a beginning, and for every event of the named cluster's machines, until ctx ends or the
	// engine does not answer.
	Watch(ctx context.Context, cluster string, heard func()) error
}

// Nodes is the machine API, node by node. Addresses are those on the cluster's network; whichever control plane takes
// a call passes it on.
type Nodes interface {
	provision.Machines
	// Interview asks a node for all that picture needs. It answers within ctx always; what failed is in the Interview.
	Interview(ctx context.Context, node provision.Node) picture.Interview
	// MachineConfig is the node's live machine config (multi-document YAML).
	MachineConfig(ctx context.Context, node provision.Node) ([]byte, error)
	// LeaveEtcd lets a living control plane give up its membership in order.
	LeaveEtcd(ctx context.Context, node provision.Node) error
	// RemoveMember lets a living control plane remove a member by ID. One that is no member any more is no error.
	RemoveMember(ctx context.Context, via provision.Node, id uint64) error
	// Snapshot writes etcd's data, as that member has it, with etcd's checksum at its end.
	Snapshot(ctx context.Context, via provision.Node, w io.Writer) error
	// ForgetAffiliate lets a living node delete an affiliate at every discovery server of the cluster. One that none
	// knows is no error.
	ForgetAffiliate(ctx context.Context, via provision.Node, nodeID string) error
}

// Kubernetes is the Kubernetes API as administrator.
type Kubernetes interface {
	provision.Kubernetes
	// Nodes lists all.
	Nodes(ctx context.Context) ([]picture.KubernetesNode, error)
	// OutOfService taints a Node, so that its pods and volumes are released at once. The UID is a precondition; a Node
	// that is gone, or is another by now, is no error and is left alone.
	OutOfService(ctx context.Context, name, uid string) error
	// DeleteNode deletes a Node and its lease with the UID as precondition, and pods bound to it without grace. One that
	// is gone, or another by now, is left alone.
	DeleteNode(ctx context.Context, name, uid string) error
}

// Connector opens the APIs of a cluster whose machines run.
type Connector interface {
	Nodes(access provision.Access) (Nodes, error)
	Kubernetes(access provision.Access) (Kubernetes, error)
}

// Refresher is what a provision.Contexts also implements where it can change what it added and leave the user's current
// context as it is.
type Refresher interface {
	Refresh(ctx context.Context, access provision.Access) error
}
