package settings

import (
	"maps"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/cri"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/kubeaccess"
	"github.com/siderolabs/talos/pkg/machinery/resources/kubespan"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// addMachine tells what a node is without any config.
func (n Node) addMachine(set *publish.Set) {
	metadata := runtime.NewPlatformMetadataSpec(runtime.NamespaceName, runtime.PlatformMetadataID)
	metadata.TypedSpec().Platform, metadata.TypedSpec().Hostname = n.Platform, n.Hostname

	version := runtime.NewVersion()
	version.TypedSpec().Name, version.TypedSpec().Version = "Bronze", n.Talos

	devices := runtime.NewDevicesStatus(runtime.NamespaceName, runtime.DevicesID)
	devices.TypedSpec().Ready = true

	// A container starts without secure boot, and its SELinux and FIPS are the host's business.
	security := runtime.NewSecurityStateSpec(runtime.NamespaceName)

	set.Add(metadata, version, devices, security)
}

// addConfig publishes the config itself, as one in use and as the one that the next boot takes.
func (n Node) addConfig(set *publish.Set) {
	kind := config.NewMachineType()
	kind.SetMachineType(n.Config.Machine().Type())

	registries := cri.NewRegistriesConfig()
	*registries.TypedSpec() = n.registries()

	kept := n.Kept
	if kept == nil {
		kept = n.Config
	}

	access := kubeaccess.NewConfig(config.NamespaceName, kubeaccess.ConfigID)
	*access.TypedSpec() = n.access()

	set.Add(
		config.NewMachineConfig(n.Config), config.NewMachineConfigWithID(kept, config.PersistentID), kind,
		registries, access, kubespan.NewConfig(config.NamespaceName, kubespan.ConfigID))

	n.addKernel(set)
	n.addNodeSpecs(set)
}

func (n Node) access() kubeaccess.ConfigSpec {
	asked := n.Config.Machine().Features().KubernetesTalosAPIAccess()

	return kubeaccess.ConfigSpec{
		Enabled:                     asked.Enabled(),
		AllowedAPIRoles:             asked.AllowedRoles(),
		AllowedKubernetesNamespaces: asked.AllowedKubernetesNamespaces(),
	}
}

func (n Node) registries() cri.RegistriesConfigSpec {
	spec := cri.RegistriesConfigSpec{
		RegistryMirrors: map[string]*cri.RegistryMirrorConfig{},
		RegistryAuths:   map[string]*cri.RegistryAuthConfig{},
		RegistryTLSs:    map[string]*cri.RegistryTLSConfig{},
	}

	for name, mirror := range n.Config.RegistryMirrorConfigs() {
		own := &cri.RegistryMirrorConfig{MirrorSkipFallback: mirror.SkipFallback()}

		for _, endpoint := range mirror.Endpoints() {
			own.MirrorEndpoints = append(own.MirrorEndpoints, cri.RegistryEndpointConfig{
				EndpointEndpoint: endpoint.Endpoint(), EndpointOverridePath: endpoint.OverridePath(),
			})
		}

		spec.RegistryMirrors[name] = own
	}

	for name, auth := range n.Config.RegistryAuthConfigs() {
		spec.RegistryAuths[name] = &cri.RegistryAuthConfig{
			RegistryUsername: auth.Username(), RegistryPassword: auth.Password(),
			RegistryAuth: auth.Auth(), RegistryIdentityToken: auth.IdentityToken(),
		}
	}

	for name, tls := range n.Config.RegistryTLSConfigs() {
		spec.RegistryTLSs[name] = &cri.RegistryTLSConfig{
			TLSClientIdentity: tls.ClientIdentity(), TLSCA: tls.CA(), TLSInsecureSkipVerify: tls.InsecureSkipVerify(),
		}
	}

	return spec
}

func (n Node) addKernel(set *publish.Set) {
	environment := runtime.NewEnvironment("machined")
	for _, name := range slices.Sorted(maps.Keys(n.Config.Environment().Variables())) {
		environment.TypedSpec().Variables = append(environment.TypedSpec().Variables, name+"="+n.Config.Environment().Variables()[name])
	}

	set.Add(environment)

	for name, value := range n.Config.Machine().Sysctls() {
		param := runtime.NewKernelParamSpec(runtime.NamespaceName, "proc.sys."+name)
		param.TypedSpec().Value = value
		set.Add(param)
	}

	for _, module := range n.Config.Machine().Kernel().Modules() {
		spec := runtime.NewKernelModuleSpec(runtime.NamespaceName, module.Name())
		spec.TypedSpec().Name, spec.TypedSpec().Parameters = module.Name(), module.Parameters()
		set.Add(spec)
	}
}

// addNodeSpecs tells what the config wants of the Kubernetes node.
func (n Node) addNodeSpecs(set *publish.Set) {
	for key, value := range n.Config.Machine().NodeLabels() {
		label := k8s.NewNodeLabelSpec(key)
		label.TypedSpec().Key, label.TypedSpec().Value = key, value
		set.Add(label)
	}

	for key, value := range n.Config.Machine().NodeAnnotations() {
		annotation := k8s.NewNodeAnnotationSpec(key)
		annotation.TypedSpec().Key, annotation.TypedSpec().Value = key, value
		set.Add(annotation)
	}

	for key, text := range n.Config.Machine().NodeTaints() {
		taint := k8s.NewNodeTaintSpec(key)
		taint.TypedSpec().Key = key
		taint.TypedSpec().Value, taint.TypedSpec().Effect = taintOf(text)
		set.Add(taint)
	}
}
