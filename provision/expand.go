package provision

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/bronze-os/bronze/images/boot"
)

// Site is what Expand must know of the place where the cluster is to be.
type Site struct {
	// Taken are the subnets in use there.
	Taken []netip.Prefix
	// Balanced tells that the provider puts a balancer in front of the control planes.
	Balanced bool
	// SocketDir is where the provider keeps the nodes' unix sockets; empty where it has none.
	SocketDir string
	// Now becomes Cluster.Created.
	Now time.Time
}

// Expand makes of a request the desired state of its cluster. Its error joins everything that is wrong with the
// request, each with a hint that names the cure. Expect is left for MachineConfigs to fill in.
func Expand(request Request, site Site) (Cluster, error) {
	subnet, subnetErr := subnetFor(request, site.Taken)
	if err := errors.Join(checkRequest(request, site), subnetErr); err != nil {
		return Cluster{}, err
	}
	cluster := Cluster{
		Name:              request.Name,
		Provider:          request.Provider,
		Created:           site.Now.UTC().Truncate(time.Second),
		Image:             request.Image,
		KubernetesVersion: request.KubernetesVersion,
		Network:           Network{Name: request.Name, Subnet: subnet, MTU: request.MTU},
		Nodes:             nodesOf(request, subnet),
		Patches:           slices.Clone(request.Patches),
	}
	cluster.expose(request.Ports, site.Balanced)
	return cluster, nil
}

// expose decides who the endpoint is, and who has which ports of the host: the balancer the APIs, where there is one,
// and the founder what the user exposes.
func (c *Cluster) expose(ports []Port, balanced bool) {
	apis, host := APIPorts(), c.Founder().IP
	if balanced {
		host = c.Network.LastHost()
		c.Balancer = &Balancer{Name: BalancerName(c.Name), IP: host, Ports: apis}
		apis = nil
	}
	c.Nodes[0].Ports = append(apis, ports...)
	c.Endpoint = "https://" + netip.AddrPortFrom(host, boot.KubernetesPort).String()
}

func subnetFor(request Request, taken []netip.Prefix) (netip.Prefix, error) {
	nodes := request.ControlPlanes + request.Workers
	if request.Subnet.IsValid() {
		return request.Subnet, checkSubnet(request.Subnet, nodes, taken)
	}
	subnet, err := ChooseSubnet(taken)
	if err != nil {
		return netip.Prefix{}, err
	}
	return subnet, checkSubnet(subnet, nodes, nil)
}

func nodesOf(request Request, subnet netip.Prefix) []Node {
	var nodes []Node
	add := func(role Role, count int, size Resources) {
		for i := range count {
			nodes = append(nodes, Node{
				Name:      NodeName(request.Name, role, i+1),
				Role:      role,
				IP:        hostAt(subnet, len(nodes)+2),
				Resources: size,
				Mounts:    slices.Clone(request.Mounts),
			})
		}
	}
	add(ControlPlane, request.ControlPlanes, request.ControlPlane)
	add(Worker, request.Workers, request.Worker)
	return nodes
}

// NodeName is the name of a role's nth node, counted from 1.
func NodeName(cluster string, role Role, number int) string {
	return fmt.Sprintf("%s-%s-%d", cluster, role, number)
}

// BalancerName is the name of a cluster's balancer.
func BalancerName(cluster string) string {
	return cluster + "-" + boot.RoleLoadBalancer
}

// APIPorts map the machine API and the Kubernetes API to free ports of loopback.
func APIPorts() []Port {
	return []Port{
		{HostIP: loopback(), Node: boot.MachineAPIPort, Protocol: "tcp"},
		{HostIP: loopback(), Node: boot.KubernetesPort, Protocol: "tcp"},
	}
}
