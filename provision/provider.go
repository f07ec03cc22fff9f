package provision

import (
	"context"
	"net/netip"
	"time"
)

// Provider makes and removes the parts of a cluster in one engine. Every method may be called again after a failure or
// a crash: creating what is there as wanted, and removing what is gone, succeed. No method touches an object that does
// not bear the cluster's labels.
type Provider interface {
	// Name is what `--provider` calls it.
	Name() string
	// Preflight proves that the engine answers and can run the cluster's nodes, and that the image is there. Its
	// errors carry hints.
	Preflight(ctx context.Context, cluster Cluster) error
	// Observe tells what is there of the named cluster, or of every cluster where name is empty.
	Observe(ctx context.Context, name string) (Observed, error)
	// CreateNetwork makes the cluster's network. ErrSubnetTaken is in its error where the subnet overlaps another
	// network of the engine or of the host.
	CreateNetwork(ctx context.Context, cluster Cluster) error
	// CreateNode makes the node's volumes and machine and starts it with that machine config (multi-document YAML), or
	// with none where it is empty.
	CreateNode(ctx context.Context, cluster Cluster, node Node, machineConfig []byte) error
	// Remove takes away what Observe told, machines first, then volumes, then networks.
	Remove(ctx context.Context, observed Observed) error
}

// Balancing is what a Provider also implements where it can put a balancer in front of the control planes.
type Balancing interface {
	// CreateBalancer makes the cluster's balancer and starts it. One that runs gets the cluster's control planes as
	// its backends, and goes on.
	CreateBalancer(ctx context.Context, cluster Cluster) error
}

// Switch is what a Provider also implements where machines can be stopped and paused and go on later.
type Switch interface {
	// Turn brings a machine to MachineRunning, MachineStopped or MachinePaused, and leaves alone one that is so. A
	// machine that stops ends in order, and Turn waits for that.
	Turn(ctx context.Context, machine Machine, to MachineState) error
}

// Appraiser is what a Provider also implements where it can tell what is in a node image.
type Appraiser interface {
	// KubernetesVersion is the image's, with a leading v; empty where the image does not tell.
	KubernetesVersion(ctx context.Context, image string) (string, error)
}

// SubnetSurveyor is what a Provider also implements where it can tell which IPv4 subnets are in use around it.
type SubnetSurveyor interface {
	// TakenSubnets lists the subnets of the engine's networks, the named cluster's own left out, and of the host where
	// the engine runs on it.
	TakenSubnets(ctx context.Context, cluster string) ([]netip.Prefix, error)
}

// Warner is what a Provider also implements where it can tell what may go wrong and need not.
type Warner interface {
	// Warnings tells, in whole sentences, what the user may want to know before the cluster is made.
	Warnings(ctx context.Context, cluster Cluster) ([]string, error)
}

// Witness is what a Provider also implements where it keeps what its machines print.
type Witness interface {
	// LastWords are the last lines that the node's machine printed.
	LastWords(ctx context.Context, node string) (string, error)
}

// Observed is what an engine holds, asked and never stored.
type Observed struct {
	// Machines are the nodes' alone.
	Machines []Machine         `json:"machines"`
	Volumes  []Volume          `json:"volumes"`
	Networks []ObservedNetwork `json:"networks"`
	// Balancers has the cluster's balancer, where there is one.
	Balancers []Machine `json:"balancers,omitempty"`
	// Bootstrapped is true where etcd is known to be founded. No engine knows that: the Reconciler asks the founder.
	Bootstrapped bool `json:"bootstrapped"`
}

// MachineState is what the engine says of a machine.
type MachineState string

// The states of a machine.
const (
	MachineCreated    MachineState = "created"
	MachineRunning    MachineState = "running"
	MachinePaused     MachineState = "paused"
	MachineStopped    MachineState = "stopped"
	MachineRestarting MachineState = "restarting"
)

// Machine is one container or VM that bears a cluster's labels: a node's, or the balancer's, whose Role is RoleBalancer.
type Machine struct {
	// ID is the engine's own; it is never used again for another machine.
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Cluster   string       `json:"cluster"`
	Role      Role         `json:"role"`
	State     MachineState `json:"state"`
	IP        netip.Addr   `json:"ip"`
	Image     string       `json:"image"`
	Resources Resources    `json:"resources"`
	// Ports are those the host really listens on.
	Ports []Port `json:"ports,omitempty"`
	// Created is when it was made, by the engine's clock; zero where the engine does not tell, as in the others below.
	Created time.Time `json:"created,omitzero"`
}

// Volume is one volume that bears a cluster's labels.
type Volume struct {
	Name    string `json:"name"`
	Cluster string `json:"cluster"`
	// Node is the name of the node, or of the balancer, that it belongs to; Path is where that mounts it.
	Node    string    `json:"node"`
	Path    string    `json:"path"`
	Created time.Time `json:"created,omitzero"`
}

// ObservedNetwork is one network that bears a cluster's labels.
type ObservedNetwork struct {
	ID string `json:"id"`
	Network
	Cluster string    `json:"cluster"`
	Created time.Time `json:"created,omitzero"`
}
