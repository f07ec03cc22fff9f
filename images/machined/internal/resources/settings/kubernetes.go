package settings

import (
	"net/netip"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// addWorkload tells what every node of the cluster has.
func (n Node) addWorkload(set *publish.Set) {
	nodename := k8s.NewNodename(k8s.NamespaceName, k8s.NodenameID)
	*nodename.TypedSpec() = k8s.NodenameSpec{
		Nodename: n.Hostname, HostnameVersion: "1", SkipNodeRegistration: n.Config.Machine().Kubelet().SkipNodeRegistration(),
	}

	ip := k8s.NewNodeIP(k8s.NamespaceName, k8s.KubeletID)
	ip.TypedSpec().Addresses = []netip.Addr{n.IP}

	subnets := k8s.NewNodeIPConfig(k8s.NamespaceName, k8s.KubeletID)
	subnets.TypedSpec().ValidSubnets = n.Config.Machine().Kubelet().NodeIP().ValidSubnets()

	for _, network := range n.KubernetesNetworks() {
		subnets.TypedSpec().ExcludeSubnets = append(subnets.TypedSpec().ExcludeSubnets, network.String())
	}

	set.Add(nodename, ip, subnets, n.kubelet())
}

func (n Node) kubelet() *k8s.KubeletConfig {
	kubelet := n.Config.Machine().Kubelet()
	config := k8s.NewKubeletConfig(k8s.NamespaceName, k8s.KubeletID)

	*config.TypedSpec() = k8s.KubeletConfigSpec{
		Image:                         n.Images("kubelet"),
		ClusterDNS:                    n.clusterDNS(),
		ClusterDomain:                 n.Config.Cluster().Network().DNSDomain(),
		ExtraArgs:                     argValues(kubelet.ExtraArgs()),
		ExtraMounts:                   kubelet.ExtraMounts(),
		ExtraConfig:                   kubelet.ExtraConfig(),
		CloudProviderExternal:         n.Config.Cluster().ExternalCloudProvider().Enabled(),
		DefaultRuntimeSeccompEnabled:  kubelet.DefaultRuntimeSeccompProfileEnabled(),
		SkipNodeRegistration:          kubelet.SkipNodeRegistration(),
		DisableManifestsDirectory:     kubelet.DisableManifestsDirectory(),
		CredentialProviderConfig:      kubelet.CredentialProviderConfig(),
		AllowSchedulingOnControlPlane: n.Config.Cluster().ScheduleOnControlPlanes(),
	}

	return config
}

func (n Node) clusterDNS() []string {
	if asked := n.Config.Machine().Kubelet().ClusterDNS(); len(asked) > 0 {
		return asked
	}

	// The config was checked before it came here: addresses that cannot be derived are none.
	addresses, _ := n.Config.Cluster().Network().DNSServiceIPs()

	return texts(addresses)
}

// taintOf reads value:effect, or an effect alone.
func taintOf(text string) (value, effect string) {
	value, effect, found := strings.Cut(text, ":")
	if !found {
		return "", value
	}

	return value, effect
}

func argValues(args map[string][]string) map[string]k8s.ArgValues {
	values := make(map[string]k8s.ArgValues, len(args))
	for name, all := range args {
		values[name] = k8s.ArgValues{Values: all}
	}

	return values
}

func volumes(mounts []config.VolumeMount) []k8s.ExtraVolume {
	var volumes []k8s.ExtraVolume

	for _, mount := range mounts {
		volumes = append(volumes, k8s.ExtraVolume{
			Name: mount.Name(), HostPath: mount.HostPath(), MountPath: mount.MountPath(), ReadOnly: mount.ReadOnly(),
		})
	}

	return volumes
}

func bounds(resources config.Resources) k8s.Resources {
	given := func(cpu, memory string) map[string]string {
		bound := map[string]string{}
		if cpu != "" {
			bound["cpu"] = cpu
		}

		if memory != "" {
			bound["memory"] = memory
		}

		return bound
	}

	return k8s.Resources{
		Requests: given(resources.CPURequests(), resources.MemoryRequests()),
		Limits:   given(resources.CPULimits(), resources.MemoryLimits()),
	}
}

func texts(addresses []netip.Addr) []string {
	var texts []string
	for _, address := range addresses {
		texts = append(texts, address.String())
	}

	return texts
}

// isFlannel tells whether the node runs the CNI that Talos brings.
func (n Node) isFlannel() bool {
	return n.Config.Cluster().Network().CNI().Name() == constants.FlannelCNI
}
