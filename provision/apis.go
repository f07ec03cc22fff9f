package provision

import (
	"context"
	"errors"
	"net/netip"
)

// ErrHopeless is wrapped by an answer of Machines or Kubernetes that waiting cannot mend, such as a certificate that is
// refused. Every other error of a question is shown as the reason for waiting, and the question is asked again.
var ErrHopeless = errors.New("cannot get better by waiting")

// MachineConfigs makes what is secret and what a node boots with. provision/machineconfig implements it.
type MachineConfigs interface {
	// NewSecrets makes a cluster's secrets bundle, as YAML.
	NewSecrets(cluster Cluster) ([]byte, error)
	// Render makes every node's machine config, with the cluster's patches. It is deterministic.
	Render(cluster Cluster, secrets []byte) (Configs, error)
}

// Configs is what MachineConfigs renders.
type Configs struct {
	// Nodes holds one machine config by node name, as multi-document YAML.
	Nodes map[string][]byte
	// Expect is what a cluster with these machine configs can be waited for.
	Expect Expect
}

// Access is all that a client on the host needs to reach a cluster.
type Access struct {
	Cluster Cluster
	// Secrets is the bundle that MachineConfigs.NewSecrets made.
	Secrets []byte
	// MachineAPI and KubernetesAPI are where the host reaches the balancer, or the first control plane where there is
	// none.
	MachineAPI    netip.AddrPort
	KubernetesAPI netip.AddrPort
}

// Connector opens the APIs of a cluster whose machines run. Opening does not wait: nothing need listen yet.
type Connector interface {
	Machines(access Access) (Machines, error)
	Kubernetes(access Access) (Kubernetes, error)
}

// Machines is the machine API of a cluster's nodes, reached through whichever control plane answers.
type Machines interface {
	// Bootstrap founds etcd on the node. A node that was bootstrapped before is no error.
	Bootstrap(ctx context.Context, node Node) error
	// Services tells how the node's services are.
	Services(ctx context.Context, node Node) ([]Service, error)
	// ForfeitLeadership lets another control plane lead etcd. A node that does not lead, or is alone, is no error.
	ForfeitLeadership(ctx context.Context, node Node) error
	// Version is the node's Bronze version, with a leading v.
	Version(ctx context.Context, node Node) (string, error)
	// Close ends the connections.
	Close() error
}

// Service is one service of a node, as machined sees it.
type Service struct {
	// ID is what the machine API calls it: apid, containerd, etcd, kubelet, trustd.
	ID string `json:"id"`
	// State is Talos's word, such as Running.
	State string `json:"state"`
	// Healthy is true where the service says so, or has no health check and runs.
	Healthy bool `json:"healthy"`
	// Message is the last event or health message.
	Message string `json:"message,omitempty"`
}

// Kubernetes is the Kubernetes side of the truth. Each question answers why it is not so yet, or nothing when it is.
type Kubernetes interface {
	// APIServes asks /readyz.
	APIServes(ctx context.Context) (why string, err error)
	// NodesReady asks whether all the named nodes have joined and are Ready.
	NodesReady(ctx context.Context, names []string) (why string, err error)
	// DeploymentAvailable asks whether a Deployment has all its replicas available.
	DeploymentAvailable(ctx context.Context, namespace, name string) (why string, err error)
	// Drain keeps new pods from a node, asks those to leave that are made anew elsewhere, and tells which have not left.
	// Pods of DaemonSets, static pods and pods of no controller stay: they come back with the node.
	Drain(ctx context.Context, node string) (why string, err error)
	// Uncordon lets new pods on a node again that Drain kept them from. One that somebody else closed stays so.
	Uncordon(ctx context.Context, node string) (why string, err error)
	// Close ends the connections.
	Close() error
}

// Contexts keeps a cluster's entries in the user's kubeconfig and talosconfig. provision/contexts implements it.
type Contexts interface {
	// Add merges the cluster's entries, in place of older ones of ours, and activates them.
	Add(ctx context.Context, access Access) error
	// Remove takes the cluster's entries away where they are ours. None there is no error.
	Remove(ctx context.Context, cluster string) error
}
