package resources

import (
	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/perf"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

type namespace struct {
	name        resource.Namespace
	description string
}

func namespaces() []namespace {
	return []namespace{
		{v1alpha1.NamespaceName, "The services of the node and the machine as a whole."},
		{cluster.NamespaceName, "The nodes of the cluster, as discovery tells them."},
		{cluster.RawNamespaceName, "The nodes of the cluster, each source of discovery by itself."},
		{config.NamespaceName, "The node's machine config."},
		{etcd.NamespaceName, "The node's etcd."},
		{k8s.NamespaceName, "The node as part of Kubernetes."},
		{k8s.ControlPlaneNamespaceName, "The control plane's static pods."},
		{network.NamespaceName, "Addresses and names."},
		{perf.NamespaceName, "Load of CPU and memory."},
		{secrets.NamespaceName, "Secrets; for admins only."},
	}
}

// kinds are the resources that clients can ask for by name; some of them stay empty.
func kinds() []meta.ResourceWithRD {
	return []meta.ResourceWithRD{
		cluster.NewAffiliate(cluster.NamespaceName, ""),
		cluster.NewIdentity(cluster.NamespaceName, cluster.LocalIdentity),
		cluster.NewInfo(),
		cluster.NewMember(cluster.NamespaceName, ""),
		config.NewMachineConfig(nil),
		config.NewMachineType(),
		etcd.NewMember(etcd.NamespaceName, ""),
		k8s.NewNodename(k8s.NamespaceName, k8s.NodenameID),
		k8s.NewStaticPodStatus(k8s.NamespaceName, ""),
		network.NewHostnameStatus(network.NamespaceName, network.HostnameID),
		network.NewNodeAddress(network.NamespaceName, ""),
		runtime.NewDiagnostic(runtime.NamespaceName, ""),
		runtime.NewMachineStatus(),
		v1alpha1.NewService(""),
	}
}
