// Package settings tells what the machine config makes of the node, as Talos's resources: names, networks, services,
// Kubernetes and the secrets in it. All of it is pure; whoever holds the config publishes it. It may import machinery's
// config and resources.
package settings

import (
	"net/netip"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// Node is what the resources are made of.
type Node struct {
	// Config is the machine config; it is nil on a node that has none yet.
	Config config.Provider
	// Kept is what the node boots with the next time; nil stands for Config.
	Kept config.Provider
	// Hostname is also the name of the Kubernetes node.
	Hostname string
	// IP is the node's address in the cluster's network.
	IP netip.Addr
	// Platform is the kind of machine, such as container.
	Platform string
	// Talos is the version of Talos that the node is compatible with, such as v1.13.3.
	Talos string
	// Resolvers are those that the platform gave the node, and Search its search domains.
	Resolvers []netip.Addr
	Search    []string
	// KubePrism is where the node's own balancer listens on loopback.
	KubePrism int
	// Images tells what a component of Kubernetes, such as kubelet or kube-apiserver, or etcd runs from.
	Images func(component string) string
}

// Resources are all resources that follow from the node's settings.
func (n Node) Resources() *publish.Set {
	var set publish.Set

	n.addMachine(&set)
	n.addNetwork(&set)
	n.addKinds(&set)

	if n.Config == nil {
		return &set
	}

	n.addConfig(&set)
	n.addWorkload(&set)
	n.addSecrets(&set)

	if n.isControlPlane() {
		n.addControlPlane(&set)
		n.addEtcd(&set)
	}

	return &set
}

func (n Node) isControlPlane() bool {
	return n.Config.Machine().Type() != machine.TypeWorker
}
