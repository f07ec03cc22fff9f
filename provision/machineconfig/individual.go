package machineconfig

import (
	"net/netip"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/config/types/network"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"

	"github.com/bronze-os/bronze/provision"
)

// machineryDocument is one document of a machine config.
type machineryDocument = config.Document

// isOfOneNode tells a document that no two nodes can share: a name, a key, the address that a NAT gives to one, or the
// identity that a DHCP server knows one by. HostnameConfig with `auto` names nobody, virtual addresses (Layer2VIPConfig,
// HCloudVIPConfig) are made to be shared, and all that is not about the network is a matter of the role.
func isOfOneNode(document machineryDocument) bool {
	switch document := document.(type) {
	case *network.HostnameConfigV1Alpha1:
		return document.ConfigHostname != ""
	case *network.WireguardConfigV1Alpha1, *network.KubespanEndpointsConfigV1Alpha1:
		return true
	case *network.DHCPv4ConfigV1Alpha1:
		return len(document.ConfigDUIDRaw) > 0
	case *network.DHCPv6ConfigV1Alpha1:
		return len(document.ConfigDUIDRaw) > 0
	default:
		return false
	}
}

// forgetAddresses takes static addresses, of whichever layer, out of the document of a link. The link itself stays, with
// its MTU and its routes.
func forgetAddresses(document machineryDocument) {
	switch link := document.(type) {
	case *network.LinkConfigV1Alpha1:
		link.LinkAddresses = nil
	case *network.VLANConfigV1Alpha1:
		link.LinkAddresses = nil
	case *network.BondConfigV1Alpha1:
		link.LinkAddresses, link.HardwareAddressConfig = nil, nil
	case *network.BridgeConfigV1Alpha1:
		link.LinkAddresses, link.HardwareAddressConfig = nil, nil
	case *network.DummyLinkConfigV1Alpha1:
		link.LinkAddresses, link.HardwareAddressConfig = nil, nil
	case *network.VRFConfigV1Alpha1:
		link.LinkAddresses, link.HardwareAddressConfig = nil, nil
	}
}

// individual is the node that a machine config is cloned from.
type individual struct {
	node provision.Node
}

// forget takes out of the main document what means this node alone.
func (i individual) forget(main *v1alpha1.Config) error {
	machine, cluster := main.MachineConfig, main.ClusterConfig
	i.forgetKubelet(machine)
	// A node puts its own name and addresses into its certificates by itself.
	machine.MachineCertSANs = i.without(machine.MachineCertSANs)
	if cluster.APIServerConfig != nil {
		cluster.APIServerConfig.CertSANs = i.without(cluster.APIServerConfig.CertSANs)
		forgetArguments(cluster.APIServerConfig.ExtraArgsConfig, "advertise-address")
	}
	if etcd := cluster.EtcdConfig; etcd != nil {
		etcd.EtcdAdvertisedSubnets = withoutHosts(etcd.EtcdAdvertisedSubnets)
		etcd.EtcdListenSubnets = withoutHosts(etcd.EtcdListenSubnets)
	}
	return nil
}

func (i individual) forgetKubelet(machine *v1alpha1.MachineConfig) {
	i.forgetLabels(machine.MachineNodeLabels)
	i.forgetLabels(machine.MachineNodeAnnotations)
	kubelet := machine.MachineKubelet
	if kubelet == nil {
		return
	}
	forgetArguments(kubelet.KubeletExtraArgs, "hostname-override", "node-ip", "provider-id")
	if kubelet.KubeletNodeIP != nil {
		kubelet.KubeletNodeIP.KubeletNodeIPValidSubnets = withoutHosts(kubelet.KubeletNodeIP.KubeletNodeIPValidSubnets)
	}
}

// forgetLabels takes out those whose value is the node's name or address. Others, such as a zone, are of the role as far
// as anybody can tell; a patch changes them.
func (i individual) forgetLabels(labels map[string]string) {
	for key, value := range labels {
		if i.isMe(value) {
			delete(labels, key)
		}
	}
}

func (i individual) without(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), i.isMe)
}

func (i individual) isMe(text string) bool {
	return text == i.node.Name || (i.node.IP.IsValid() && text == i.node.IP.String())
}

func forgetArguments(arguments v1alpha1.Args, names ...string) {
	for _, name := range names {
		delete(arguments, name)
	}
}

// withoutHosts takes those subnets out that are one address.
func withoutHosts(subnets []string) []string {
	return slices.DeleteFunc(slices.Clone(subnets), isHost)
}

// isHost tells a subnet of one address. One that is excluded by an exclamation mark is none: it may be a virtual address.
func isHost(subnet string) bool {
	prefix, err := netip.ParsePrefix(subnet)
	return err == nil && prefix.IsSingleIP()
}
