package reconcile

import (
	"fmt"
	"net/netip"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// maxHostname is the longest DNS-1123 label; a node's name is its hostname.
const maxHostname = 63

// taken are the names and the addresses that any source knows, of the living and of the dead. A new node that had one of
// them would be taken for its old bearer.
type taken struct {
	names     map[string]bool
	addresses map[netip.Addr]bool
}

func takenIn(cluster provision.Cluster, p picture.Picture) taken {
	t := taken{names: map[string]bool{}, addresses: map[netip.Addr]bool{}}
	t.bear("", cluster.Network.Gateway())
	if balancer := cluster.Balancer; balancer != nil {
		t.bear(balancer.Name, balancer.IP)
	}
	for _, node := range cluster.Nodes {
		t.bear(node.Name, node.IP)
	}
	for _, node := range p.Nodes {
		t.bearAll(node)
	}
	return t
}

func (t taken) bear(name string, addresses ...netip.Addr) {
	t.names[name] = true
	for _, address := range addresses {
		t.addresses[address.Unmap()] = true
	}
}

// bearAll notes what each source says of a node, as they may differ.
func (t taken) bearAll(node picture.Node) {
	t.bear(node.Name)
	if desired := node.Desired; desired != nil {
		t.bear(desired.Name, desired.IP)
	}
	if machine := node.Machine; machine != nil {
		t.bear(machine.Name, machine.IP)
	}
	for _, volume := range node.Volumes {
		t.bear(volume.Node)
	}
	if object := node.Kubernetes; object != nil {
		t.bear(object.Name, object.IP)
	}
	if affiliate := node.Affiliate; affiliate != nil {
		t.bear(affiliate.Nodename, affiliate.Addresses...)
		t.bear(affiliate.Hostname)
	}
	if member := node.Etcd; member != nil {
		t.bear(member.Name, member.IP)
	}
}

// next finds names and addresses for so many new nodes of a role: the lowest that nothing bears. They are taken then.
func (t taken) next(cluster provision.Cluster, role provision.Role, count int) ([]provision.Node, error) {
	var nodes []provision.Node
	number, address := 1, cluster.Network.Gateway().Next()
	for range count {
		for t.names[provision.NodeName(cluster.Name, role, number)] {
			number++
		}
		for t.addresses[address] {
			address = address.Next()
		}
		node := provision.Node{Name: provision.NodeName(cluster.Name, role, number), Role: role, IP: address}
		if !cluster.Network.Subnet.Contains(address) || address.Compare(cluster.Network.LastHost()) > 0 {
			return nil, provision.WithHint(
				fmt.Errorf("cannot find an address for %q: subnet %s has room for %d more nodes, not for %d",
					node.Name, cluster.Network.Subnet, len(nodes), count),
				"remove nodes, let bronze cluster reconcile free the addresses of those that are gone, or create a cluster with a larger --subnet")
		}
		if over := len(node.Name) - maxHostname; over > 0 {
			return nil, fmt.Errorf("cannot name a node %q: a hostname has at most %d characters", node.Name, maxHostname)
		}
		t.bear(node.Name, node.IP)
		nodes = append(nodes, node)
	}
	return nodes, nil
}
