// Package provision is the domain of Bronze: what a user asks for (Request), what that means (Cluster and Node, by
// Expand), what is there (Observed), and the way from one to the other (Plan, Reconciler). It imports no provider and
// no engine; those implement the interfaces of this package.
package provision

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/bronze-os/bronze/images/boot"
)

// Role is what a node does in its cluster.
type Role string

// The roles, as the machine config spells them.
const (
	ControlPlane Role = boot.RoleControlPlane
	Worker       Role = boot.RoleWorker
	// RoleBalancer is no node's: it tells the balancer from them.
	RoleBalancer Role = boot.RoleLoadBalancer
)

// Resources bounds one node.
type Resources struct {
	// CPUs is the share of processors; 0.5 is half of one.
	CPUs float64 `json:"cpus"`
	// MemoryMiB is the memory limit in MiB.
	MemoryMiB int64 `json:"memoryMiB"`
}

// Port maps a port of a node to a port of the host.
type Port struct {
	// HostIP is where the host listens; loopback where nothing else was asked.
	HostIP netip.Addr `json:"hostIP"`
	// Host is the host's port; 0 lets the engine choose a free one.
	Host uint16 `json:"host"`
	// Node is the port on the node.
	Node uint16 `json:"node"`
	// Protocol is "tcp" or "udp".
	Protocol string `json:"protocol"`
}

// Mount binds a path of the host, or an engine's volume, into every node.
type Mount struct {
	// Type is "bind", "volume" or "tmpfs".
	Type     string `json:"type"`
	Source   string `json:"source,omitempty"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// Network is the layer 2 segment that a cluster's nodes share.
type Network struct {
	// Name is the cluster's name.
	Name string `json:"name"`
	// Subnet is IPv4; its first address is the gateway, nodes follow.
	Subnet netip.Prefix `json:"subnet"`
	// MTU is in bytes.
	MTU int `json:"mtu"`
}

// Cluster is the desired state of one cluster, complete: nothing behind Expand counts nodes or derives names again.
type Cluster struct {
	Name     string    `json:"name"`
	Provider string    `json:"provider"`
	Created  time.Time `json:"created"`
	// Image is the node image's reference in the engine.
	Image string `json:"image"`
	// KubernetesVersion has a leading v.
	KubernetesVersion string  `json:"kubernetesVersion"`
	Network           Network `json:"network"`
	// Endpoint is the Kubernetes API's URL as the nodes reach it.
	Endpoint string `json:"endpoint"`
	// Balancer stands in front of the control planes; nil where the provider has none, and in clusters that were made
	// before there was one. Then the first control plane is the endpoint.
	Balancer *Balancer `json:"balancer,omitempty"`
	// Nodes are the control planes, then the workers, each in the order of their numbers.
	Nodes []Node `json:"nodes"`
	// Patches change the machine configs that are made for the nodes, in this order.
	Patches []Patch `json:"patches,omitempty"`
	// Expect is what a finished cluster shows; MachineConfigs fills it in, as patches decide it.
	Expect Expect `json:"expect"`
}

// Patch changes machine configs: a strategic merge patch or a JSON patch, as YAML or JSON.
type Patch struct {
	// Role is whose machine configs it changes; empty means every node's.
	Role Role   `json:"role,omitempty"`
	Body string `json:"body"`
}

// Expect tells which signs of health a cluster can show at all.
type Expect struct {
	// NodesReady is false where the machine config brings no CNI, for nodes are never Ready without one.
	NodesReady bool `json:"nodesReady"`
	// CoreDNS is false where the machine config disables it, or where nodes are never Ready.
	CoreDNS bool `json:"coreDNS"`
}

// Founder is the first control plane: it bootstraps etcd.
func (c Cluster) Founder() Node {
	return c.Nodes[0]
}

// ControlPlanes are the nodes of that role, the founder first.
func (c Cluster) ControlPlanes() []Node {
	var nodes []Node
	for _, node := range c.Nodes {
		if node.Role == ControlPlane {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// machineNames are those of the nodes and of the balancer.
func (c Cluster) machineNames() []string {
	names := nodeNames(c.Nodes)
	if c.Balancer != nil {
		names = append(names, c.Balancer.Name)
	}
	return names
}

// Balancer is the desired state of what carries the cluster's APIs to those control planes that are fit. It is not a
// node. Its backends are the cluster's control planes, at any time.
type Balancer struct {
	Name string `json:"name"`
	// IP is the cluster's endpoint.
	IP netip.Addr `json:"ip"`
	// Ports map the Kubernetes API and the machine API to the host.
	Ports []Port `json:"ports,omitempty"`
}

// Node is the desired state of one node. Its machine config is stored beside the cluster, as it holds secrets.
type Node struct {
	Name      string     `json:"name"`
	Role      Role       `json:"role"`
	IP        netip.Addr `json:"ip"`
	Resources Resources  `json:"resources"`
	Ports     []Port     `json:"ports,omitempty"`
	Mounts    []Mount    `json:"mounts,omitempty"`
	// Replaces is the node in whose place it is made, until that is forgotten.
	Replaces string `json:"replaces,omitempty"`
	// Image is the node image's reference in the engine; empty means the cluster's.
	Image string `json:"image,omitempty"`
	// Joining tells that the adding of the node was begun and has not ended: whoever adds nodes next goes on with it.
	Joining bool `json:"joining,omitempty"`
}

// ImageOf is the image that the node's machine is made of.
func (c Cluster) ImageOf(node Node) string {
	return cmp.Or(node.Image, c.Image)
}
