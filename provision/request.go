package provision

import "net/netip"

// Defaults of a Request.
const (
	DefaultName     = "bronze"
	DefaultProvider = "docker"
	// DefaultCPUs and DefaultMemoryMiB are the size of a node of either role.
	DefaultCPUs      = 2.0
	DefaultMemoryMiB = 2048
	// DefaultMTU is in bytes.
	DefaultMTU = 1500
)

// Request is what a user asks for, as the flags say it. DefaultRequest is where to start from: the zero value is not
// valid.
type Request struct {
	// Name is a DNS-1123 label.
	Name string
	// Provider is what providers.Open takes.
	Provider string
	// ControlPlanes is odd, unless AllowEven; Workers may be 0.
	ControlPlanes int
	AllowEven     bool
	Workers       int
	// ControlPlane and Worker size one node of that role.
	ControlPlane Resources
	Worker       Resources
	// Subnet is IPv4; the zero value lets Expand choose a free one.
	Subnet netip.Prefix
	// MTU is in bytes.
	MTU int
	// Image is the node image's reference in the engine.
	Image string
	// KubernetesVersion has a leading v.
	KubernetesVersion string
	// Ports are mapped on the first control plane, beside those that Bronze maps itself.
	Ports []Port
	// Mounts are made on every node.
	Mounts []Mount
	// Patches change the machine configs.
	Patches []Patch
}

// DefaultRequest is one control plane and one worker of the default size. Image and KubernetesVersion are for the
// caller to fill in, who knows the node image.
func DefaultRequest() Request {
	size := Resources{CPUs: DefaultCPUs, MemoryMiB: DefaultMemoryMiB}
	return Request{
		Name: DefaultName, Provider: DefaultProvider,
		ControlPlanes: 1, Workers: 1,
		ControlPlane: size, Worker: size,
		MTU: DefaultMTU,
	}
}
