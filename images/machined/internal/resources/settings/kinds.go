package settings

import (
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/cri"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/kubeaccess"
	"github.com/siderolabs/talos/pkg/machinery/resources/kubespan"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// addKinds names everything that a later config may no longer ask for.
func (n Node) addKinds(set *publish.Set) {
	set.Kind(
		&config.MachineConfig{}, &config.MachineType{}, &cri.RegistriesConfig{}, &kubeaccess.Config{}, &kubespan.Config{},
		&runtime.Environment{}, &runtime.KernelParamSpec{}, &runtime.KernelModuleSpec{},
		&network.HostDNSConfig{}, &network.HostnameSpec{}, &network.ResolverSpec{}, &network.TimeServerSpec{}, &network.NodeAddressFilter{},
		&k8s.Nodename{}, &k8s.NodeIP{}, &k8s.NodeIPConfig{}, &k8s.KubeletConfig{}, &k8s.NodeLabelSpec{}, &k8s.NodeAnnotationSpec{},
		&k8s.NodeTaintSpec{},
		&secrets.OSRoot{}, &secrets.Kubelet{}, &secrets.CertSAN{}, &secrets.KubernetesRoot{}, &secrets.EtcdRoot{},
		&etcd.Config{}, &etcd.Spec{},
		&k8s.APIServerConfig{}, &k8s.ControllerManagerConfig{}, &k8s.SchedulerConfig{}, &k8s.AdmissionControlConfig{},
		&k8s.AuditPolicyConfig{}, &k8s.AuthorizationConfig{}, &k8s.BootstrapManifestsConfig{}, &k8s.ExtraManifestsConfig{},
	)
}
