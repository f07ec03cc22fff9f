package settings

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// addControlPlane tells of the static pods and of what the API starts with.
func (n Node) addControlPlane(set *publish.Set) {
	server := k8s.NewAPIServerConfig()
	*server.TypedSpec() = n.apiServer()

	manager := k8s.NewControllerManagerConfig()
	*manager.TypedSpec() = n.controllerManager()

	scheduler := k8s.NewSchedulerConfig()
	*scheduler.TypedSpec() = n.scheduler()

	manifests := k8s.NewBootstrapManifestsConfig()
	*manifests.TypedSpec() = n.manifests()

	extra := k8s.NewExtraManifestsConfig()
	extra.TypedSpec().ExtraManifests = n.extraManifests()

	set.Add(server, manager, scheduler, manifests, extra)
	n.addPolicies(set)
}

func (n Node) apiServer() k8s.APIServerConfigSpec {
	cluster := n.Config.Cluster()

	return k8s.APIServerConfigSpec{
		Image:                n.Images(k8s.APIServerID),
		ControlPlaneEndpoint: cluster.Endpoint().String(),
		EtcdServers:          []string{"https://127.0.0.1:" + strconv.Itoa(boot.EtcdClientPort)},
		LocalPort:            cluster.LocalAPIServerPort(),
		ServiceCIDRs:         cluster.Network().ServiceCIDRs(),
		ExtraArgs:            argValues(cluster.APIServer().ExtraArgs()),
		ExtraVolumes:         volumes(cluster.APIServer().ExtraVolumes()),
		EnvironmentVariables: cluster.APIServer().Env(),
		AdvertisedAddress:    n.IP.String(),
		Resources:            bounds(cluster.APIServer().Resources()),
	}
}

func (n Node) controllerManager() k8s.ControllerManagerConfigSpec {
	cluster := n.Config.Cluster()

	return k8s.ControllerManagerConfigSpec{
		Enabled:              !n.Config.Machine().Controlplane().ControllerManager().Disabled(),
		Image:                n.Images(k8s.ControllerManagerID),
		PodCIDRs:             cluster.Network().PodCIDRs(),
		ServiceCIDRs:         cluster.Network().ServiceCIDRs(),
		ExtraArgs:            argValues(cluster.ControllerManager().ExtraArgs()),
		ExtraVolumes:         volumes(cluster.ControllerManager().ExtraVolumes()),
		EnvironmentVariables: cluster.ControllerManager().Env(),
		Resources:            bounds(cluster.ControllerManager().Resources()),
	}
}

func (n Node) scheduler() k8s.SchedulerConfigSpec {
	scheduler := n.Config.Cluster().Scheduler()

	return k8s.SchedulerConfigSpec{
		Enabled:              !n.Config.Machine().Controlplane().Scheduler().Disabled(),
		Image:                n.Images(k8s.SchedulerID),
		ExtraArgs:            argValues(scheduler.ExtraArgs()),
		ExtraVolumes:         volumes(scheduler.ExtraVolumes()),
		EnvironmentVariables: scheduler.Env(),
		Resources:            bounds(scheduler.Resources()),
		Config:               scheduler.Config(),
	}
}

// addPolicies tells what the API server allows and writes down.
func (n Node) addPolicies(set *publish.Set) {
	server := n.Config.Cluster().APIServer()

	admission := k8s.NewAdmissionControlConfig()
	for _, plugin := range server.AdmissionControl() {
		admission.TypedSpec().Config = append(admission.TypedSpec().Config,
			k8s.AdmissionPluginSpec{Name: plugin.Name(), Configuration: plugin.Configuration()})
	}

	audit := k8s.NewAuditPolicyConfig()
	audit.TypedSpec().Config = server.AuditPolicy()

	authorization := k8s.NewAuthorizationConfig()
	authorization.TypedSpec().Image = n.Images(k8s.APIServerID)

	for _, authorizer := range server.AuthorizationConfig() {
		authorization.TypedSpec().Config = append(authorization.TypedSpec().Config,
			k8s.AuthorizationAuthorizersSpec{Type: authorizer.Type(), Name: authorizer.Name(), Webhook: authorizer.Webhook()})
	}

	set.Add(admission, audit, authorization)
}

func (n Node) manifests() k8s.BootstrapManifestsConfigSpec {
	cluster := n.Config.Cluster()

	spec := k8s.BootstrapManifestsConfigSpec{
		Server:         cluster.Endpoint().String(),
		ClusterDomain:  cluster.Network().DNSDomain(),
		PodCIDRs:       cluster.Network().PodCIDRs(),
		ProxyEnabled:   cluster.Proxy().Enabled(),
		ProxyImage:     n.Images("kube-proxy"),
		CoreDNSEnabled: cluster.CoreDNS().Enabled(),
		CoreDNSImage:   n.Images("coredns"),
		// flanneld is a service of the node here, without an image of its own.
		FlannelEnabled: n.isFlannel(),
		CNIName:        cluster.Network().CNI().Name(),
	}

	for _, name := range slices.Sorted(maps.Keys(cluster.Proxy().ExtraArgs())) {
		for _, value := range cluster.Proxy().ExtraArgs()[name] {
			spec.ProxyArgs = append(spec.ProxyArgs, "--"+name+"="+value)
		}
	}

	addresses, _ := cluster.Network().DNSServiceIPs()
	for _, address := range addresses {
		if address.Is4() {
			spec.DNSServiceIP = address.String()
		} else {
			spec.DNSServiceIPv6 = address.String()
		}
	}

	if n.isFlannel() {
		spec.FlannelExtraArgs = cluster.Network().CNI().Flannel().ExtraArgs()
	}

	return spec
}

// extraManifests are in the order in which they are created: the priorities are Talos's.
func (n Node) extraManifests() []k8s.ExtraManifest {
	cluster := n.Config.Cluster()

	var extra []k8s.ExtraManifest

	urls := func(priority string, urls []string, headers map[string]string) {
		for _, url := range urls {
			extra = append(extra, k8s.ExtraManifest{Name: url, URL: url, Priority: priority, ExtraHeaders: headers})
		}
	}

	if !n.isFlannel() {
		urls("05", cluster.Network().CNI().URLs(), nil)
	}

	urls("30", cluster.ExternalCloudProvider().ManifestURLs(), nil)
	urls("99", cluster.ExtraManifestURLs(), cluster.ExtraManifestHeaderMap())

	for _, inline := range cluster.InlineManifests() {
		extra = append(extra, k8s.ExtraManifest{Name: inline.Name(), Priority: "99", InlineManifest: inline.Contents()})
	}

	return extra
}

func (n Node) addEtcd(set *publish.Set) {
	asked := n.Config.Cluster().Etcd()
	args := make(map[string]etcd.ArgValues, len(asked.ExtraArgs()))

	for name, values := range asked.ExtraArgs() {
		args[name] = etcd.ArgValues{Values: values}
	}

	config := etcd.NewConfig(etcd.NamespaceName, etcd.ConfigID)
	*config.TypedSpec() = etcd.ConfigSpec{
		AdvertiseValidSubnets: asked.AdvertisedSubnets(),
		ListenValidSubnets:    asked.ListenSubnets(),
		Image:                 n.Images("etcd"),
		ExtraArgs:             args,
	}

	spec := etcd.NewSpec(etcd.NamespaceName, etcd.SpecID)
	*spec.TypedSpec() = etcd.SpecSpec{
		Name:                  n.Hostname,
		AdvertisedAddresses:   []netip.Addr{n.IP},
		ListenPeerAddresses:   []netip.Addr{n.IP},
		ListenClientAddresses: []netip.Addr{n.IP, netip.AddrFrom4([4]byte{127, 0, 0, 1})},
		Image:                 n.Images("etcd"),
		ExtraArgs:             args,
	}

	set.Add(config, spec)
}
