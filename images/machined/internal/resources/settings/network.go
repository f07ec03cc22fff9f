package settings

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/time"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// addNetwork tells names, resolvers and time servers. The container engine gave the node its name, so that no other
// source of one counts.
func (n Node) addNetwork(set *publish.Set) {
	hostname := network.NewHostnameStatus(network.NamespaceName, network.HostnameID)
	hostname.TypedSpec().Hostname = n.Hostname

	asked := network.NewHostnameSpec(network.NamespaceName, network.HostnameID)
	asked.TypedSpec().Hostname, asked.TypedSpec().ConfigLayer = n.Hostname, network.ConfigPlatform

	resolvers, layer := n.resolvers()
	wanted := network.NewResolverSpec(network.NamespaceName, network.ResolverID)
	*wanted.TypedSpec() = network.ResolverSpecSpec{DNSServers: resolvers, SearchDomains: n.search(), ConfigLayer: layer}

	shown := network.NewResolverStatus(network.NamespaceName, network.ResolverID)
	*shown.TypedSpec() = network.ResolverStatusSpec{DNSServers: resolvers, SearchDomains: n.search()}

	set.Add(hostname, asked, wanted, shown)
	n.addTime(set)

	if n.Config == nil {
		return
	}

	pods := network.NewNodeAddressFilter(network.NamespaceName, k8s.NodeAddressFilterOnlyK8s)
	pods.TypedSpec().IncludeSubnets = n.KubernetesNetworks()

	others := network.NewNodeAddressFilter(network.NamespaceName, k8s.NodeAddressFilterNoK8s)
	others.TypedSpec().ExcludeSubnets = n.KubernetesNetworks()

	set.Add(pods, others, n.hostDNS())
}

// resolvers are the config's, which go before the platform's.
func (n Node) resolvers() ([]netip.Addr, network.ConfigLayer) {
	if n.Config != nil && n.Config.NetworkResolverConfig() != nil && len(n.Config.NetworkResolverConfig().Resolvers()) > 0 {
		return n.Config.NetworkResolverConfig().Resolvers(), network.ConfigMachineConfiguration
	}

	return n.Resolvers, network.ConfigPlatform
}

func (n Node) search() []string {
	if n.Config != nil && n.Config.NetworkResolverConfig() != nil && len(n.Config.NetworkResolverConfig().SearchDomains()) > 0 {
		return n.Config.NetworkResolverConfig().SearchDomains()
	}

	return n.Search
}

// addTime tells of the servers that the config names. A container's clock is the host's, which the node takes as right
// and never sets, as Talos does in a container.
func (n Node) addTime(set *publish.Set) {
	servers, layer := []string{constants.DefaultNTPServer}, network.ConfigDefault

	if n.Config != nil && n.Config.NetworkTimeSyncConfig() != nil && len(n.Config.NetworkTimeSyncConfig().Servers()) > 0 {
		servers, layer = n.Config.NetworkTimeSyncConfig().Servers(), network.ConfigMachineConfiguration
	}

	wanted := network.NewTimeServerSpec(network.NamespaceName, network.TimeServerID)
	*wanted.TypedSpec() = network.TimeServerSpecSpec{NTPServers: servers, ConfigLayer: layer}

	shown := network.NewTimeServerStatus(network.NamespaceName, network.TimeServerID)
	shown.TypedSpec().NTPServers = servers

	clock := time.NewStatus()
	clock.TypedSpec().Synced, clock.TypedSpec().SyncDisabled = true, true

	set.Add(wanted, shown, clock)
}

func (n Node) hostDNS() *network.HostDNSConfig {
	asked := n.Config.Machine().Features().HostDNS()
	config := network.NewHostDNSConfig(network.HostDNSConfigID)

	// Pods always get the node's resolver by this address; the engine's own means something else inside a pod.
	address := netip.MustParseAddr(constants.HostDNSAddress)
	*config.TypedSpec() = network.HostDNSConfigSpec{
		Enabled:               true,
		ListenAddresses:       []netip.AddrPort{netip.AddrPortFrom(address, 53)},
		ServiceHostDNSAddress: address,
		ResolveMemberNames:    asked.ResolveMemberNames(),
	}

	return config
}

// KubernetesNetworks are those of pods and services; a node without a config has none.
func (n Node) KubernetesNetworks() []netip.Prefix {
	if n.Config == nil {
		return nil
	}

	cluster := n.Config.Cluster().Network()

	var networks []netip.Prefix

	for _, text := range slices.Concat(cluster.PodCIDRs(), cluster.ServiceCIDRs()) {
		if network, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			networks = append(networks, network)
		}
	}

	return networks
}

// ReadResolvers reads the text of a resolv.conf; what it does not know is left out.
func ReadResolvers(text string) (servers []netip.Addr, search []string) {
	for line := range strings.Lines(text) {
		switch fields := strings.Fields(line); {
		case len(fields) < 2:
		case fields[0] == "nameserver":
			if server, err := netip.ParseAddr(fields[1]); err == nil {
				servers = append(servers, server)
			}
		case fields[0] == "search":
			search = fields[1:]
		}
	}

	return servers, search
}
