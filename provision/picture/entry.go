package picture

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"

	"github.com/jxskiss/base62"

	"github.com/bronze-os/bronze/provision"
)

// entry is a node of the picture while it is put together: at most one fact of each kind.
type entry struct {
	node Node
	// key identifies the entry's first fact; it orders entries, so that no order of the sources does.
	key string
	// asked is the name under which the node was interviewed, and for an interview alone that of its machine.
	asked string
}

// face is how a source shows a node: a name and an address together.
type face struct {
	name string
	ip   netip.Addr
}

// faces are those of all facts, one for each address.
func (e entry) faces() []face {
	var faces []face
	add := func(name string, ips ...netip.Addr) {
		for _, ip := range ips {
			if name != "" && ip.IsValid() {
				faces = append(faces, face{name, ip.Unmap()})
			}
		}
	}
	if desired := e.node.Desired; desired != nil {
		add(desired.Name, desired.IP)
	}
	if machine := e.node.Machine; machine != nil {
		add(machine.Name, machine.IP)
	}
	return append(faces, e.claims()...)
}

// claims are the faces of what the node itself told Kubernetes, discovery and etcd.
func (e entry) claims() []face {
	var faces []face
	if node := e.node.Kubernetes; node != nil {
		faces = append(faces, face{node.Name, node.IP.Unmap()})
	}
	if affiliate := e.node.Affiliate; affiliate != nil {
		for _, ip := range affiliate.Addresses {
			faces = append(faces, face{affiliate.name(), ip.Unmap()})
		}
	}
	if member := e.node.Etcd; member != nil {
		faces = append(faces, face{member.Name, member.IP.Unmap()})
	}
	return slices.DeleteFunc(faces, func(f face) bool { return f.name == "" || !f.ip.IsValid() })
}

func sharesFace(a, b entry) bool {
	return overlap(a.faces(), b.faces(), func(f face) face { return f })
}

func sharesName(a, b entry) bool {
	return overlap(a.faces(), b.faces(), func(f face) string { return f.name })
}

func sharesIP(a, b entry) bool {
	return overlap(a.faces(), b.faces(), func(f face) netip.Addr { return f.ip })
}

func overlap[T comparable](a, b []face, key func(face) T) bool {
	return slices.ContainsFunc(a, func(one face) bool {
		return slices.ContainsFunc(b, func(other face) bool { return key(one) == key(other) })
	})
}

// name is the first of: desired, the machine's, Kubernetes's, discovery's, etcd's, the volumes', an ID.
func (e entry) name() string {
	names := []string{e.asked}
	if desired := e.node.Desired; desired != nil {
		names = []string{desired.Name}
	} else if machine := e.node.Machine; machine != nil {
		names = []string{machine.Name, machine.ID}
	}
	if node := e.node.Kubernetes; node != nil {
		names = append(names, node.Name)
	}
	if affiliate := e.node.Affiliate; affiliate != nil {
		names = append(names, affiliate.name())
	}
	if member := e.node.Etcd; member != nil {
		names = append(names, member.Name)
	}
	for _, volume := range e.node.Volumes {
		names = append(names, volume.Node)
	}
	names = append(names, e.nodeID(), MemberName(e.memberID()), e.key)
	return names[slices.IndexFunc(names, func(name string) bool { return name != "" })]
}

func (e entry) role() provision.Role {
	node := e.node
	switch {
	case node.Desired != nil:
		return node.Desired.Role
	case node.Machine != nil && node.Machine.Role != "":
		return node.Machine.Role
	case node.Affiliate != nil && node.Affiliate.Role != "":
		return node.Affiliate.Role
	case node.Etcd != nil || node.Kubernetes != nil && node.Kubernetes.ControlPlane:
		return provision.ControlPlane
	case node.Kubernetes != nil:
		return provision.Worker
	default:
		return ""
	}
}

// owns tells whether volumes that bear that name are the entry's.
func (e entry) owns(name string) bool {
	desired, machine, volumes := e.node.Desired, e.node.Machine, e.node.Volumes
	return desired != nil && desired.Name == name || machine != nil && machine.Name == name ||
		len(volumes) > 0 && volumes[0].Node == name
}

// nodeID is what the node says, or what discovery says of it.
func (e entry) nodeID() string {
	if e.node.Answer != nil && e.node.Answer.NodeID != "" {
		return e.node.Answer.NodeID
	}
	if e.node.Affiliate != nil {
		return e.node.Affiliate.NodeID
	}
	return ""
}

func (e entry) machineID() string {
	if id := MachineID(e.nodeID()); id != "" {
		return id
	}
	if e.node.Kubernetes != nil {
		return e.node.Kubernetes.MachineID
	}
	return ""
}

func (e entry) memberID() uint64 {
	if e.node.Answer != nil && e.node.Answer.Member != 0 {
		return e.node.Answer.Member
	}
	if e.node.Etcd != nil {
		return e.node.Etcd.ID
	}
	return 0
}

// machineIDBytes is how much of a node ID becomes the machine ID.
const machineIDBytes = 16

// MachineID is the machine ID that a node of that node ID shows in Kubernetes: the first 16 bytes, in hexadecimal. It is
// empty where that is no node ID.
func MachineID(nodeID string) string {
	id, err := base62.DecodeString(nodeID)
	if err != nil || len(id) < machineIDBytes {
		return ""
	}
	return hex.EncodeToString(id[:machineIDBytes])
}

// MemberName is a member's ID as bronze etcd members and talosctl print it; empty for none.
func MemberName(id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}

// name is the Node's in Kubernetes, or the host's where it has none yet.
func (a Affiliate) name() string {
	if a.Nodename != "" {
		return a.Nodename
	}
	return a.Hostname
}
