// Package boot is what a host that makes nodes and a guest that is one must agree on: environment variables, paths,
// volumes, ports and labels of the node image. It is a leaf and imports the standard library only.
package boot

// The environment of a container node, with the names and values that Talos uses
// (https://github.com/siderolabs/talos, pkg/provision/providers/docker).
const (
	// PlatformVariable names the platform; a container node is of PlatformContainer.
	PlatformVariable = "PLATFORM"
	// PlatformContainer is the value of PlatformVariable for a container node.
	PlatformContainer = "container"
	// SKUVariable holds the node's size as "<n>CPU-<m>RAM", m in MiB.
	SKUVariable = "TALOSSKU"
	// UserDataVariable holds the machine config: multi-document YAML, plain or in standard base64.
	UserDataVariable = "USERDATA"
)

// Ports that a node serves on its own address, and those that it keeps to loopback.
const (
	// MachineAPIPort is where apid serves the machine API over mutual TLS.
	MachineAPIPort = 50000
	// TrustdPort is where control planes sign the certificates of workers.
	TrustdPort = 50001
	// DiscoveryPort is where control planes serve discovery.
	DiscoveryPort = 50002
	// KubernetesPort is where kube-apiserver serves.
	KubernetesPort = 6443
	// EtcdClientPort and EtcdPeerPort are etcd's.
	EtcdClientPort = 2379
	EtcdPeerPort   = 2380
	// KubeletPort is the kubelet's API.
	KubeletPort = 10250
	// KubePrismPort is the loopback port of the node's own balancer for the Kubernetes API, unless the machine config
	// names another.
	KubePrismPort = 7445
)

// Paths inside a node.
const (
	// StatePath is the volume that keeps the machine config and the node's identity.
	StatePath = "/system/state"
	// MachineConfigPath is the machine config that the node last accepted.
	MachineConfigPath = StatePath + "/config.yaml"
	// EphemeralPath is the volume that holds etcd's, containerd's and the kubelet's data.
	EphemeralPath = "/var"
	// BalancerPath is the program that balances over a cluster's control planes, and BackendsPath is where that keeps
	// the addresses of those, a line each, in a volume on StatePath of its own container.
	BalancerPath = "/usr/bin/balancer"
	BackendsPath = StatePath + "/backends"
	// InitPath is the image's entry point. Run in a node with KillCommand and the name of a service, it kills that service's
	// process.
	InitPath    = "/sbin/init"
	KillCommand = "kill"
	// FirewallPath is the program that sets the node's packet filter.
	FirewallPath = "/usr/sbin/nft"
	// ImageArchivePath is the OCI layout archive of the container images that every node has.
	ImageArchivePath = "/usr/share/bronze/images.tar"
)

// Tmpfs lists the directories of a node that live in memory.
func Tmpfs() []string {
	return []string{"/run", "/system", "/tmp"}
}

// Volumes lists the directories of a node that outlive a restart, parents before children.
func Volumes() []string {
	return []string{EphemeralPath, StatePath, "/etc/cni", "/etc/kubernetes", "/usr/libexec/kubernetes", "/opt"}
}

// Roles as the machine config and the engine's labels spell them.
const (
	RoleControlPlane = "controlplane"
	RoleWorker       = "worker"
	// RoleLoadBalancer is the label of a cluster's balancer, which is no node.
	RoleLoadBalancer = "loadbalancer"
)

// Labels that every object of a cluster bears in its engine. The first three are Talos's own, so that tools which
// know those find the nodes; LabelVolume tells which of Volumes a volume is.
const (
	LabelOwned       = "talos.owned"
	LabelClusterName = "talos.cluster.name"
	LabelType        = "talos.type"
	LabelNode        = "bronze.node"
	LabelVolume      = "bronze.volume"
)

// LabelKubernetes is the label of a node image that tells its Kubernetes version, with a leading v.
const LabelKubernetes = "bronze.version.kubernetes"
