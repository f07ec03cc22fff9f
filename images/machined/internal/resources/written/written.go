// Package written tells, as Talos's resources, what the node has written for the programs that it runs: the kubelet's
// configuration, the static pods, and the certificates of etcd and Kubernetes. It reads the files that those programs read,
// so that what it tells is what they have.
package written

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"sigs.k8s.io/yaml"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// fileLimit is the size in bytes of a file that is read; larger ones are none of ours.
const fileLimit = 1 << 20

// Options tell what was written where.
type Options struct {
	State state.State
	// Root is where the paths begin; empty means the root.
	Root string
	// Kubelet is the kubelet's configuration file, and Manifests the directory of the static pods.
	Kubelet, Manifests string
	// EtcdSecrets and KubernetesSecrets are the directories of the certificates; a worker has none.
	EtcdSecrets, KubernetesSecrets string
	// Node is the node's name in Kubernetes.
	Node string
	// Arguments answers the kubelet's command line without its program, and Image names what it runs from.
	Arguments func() []string
	Image     string
	// Changed wakes when files may have been written.
	Changed publish.Signal
}

// Run publishes what is written, and blocks until ctx ends.
func Run(ctx context.Context, opts Options) error {
	return publish.Whenever(ctx, func(ctx context.Context) error {
		return opts.look().Write(ctx, opts.State)
	}, opts.Changed)
}

// look reads the files as they are. What is not there yet is not told.
func (o Options) look() *publish.Set {
	var set publish.Set
	set.Kind(&k8s.KubeletSpec{}, &k8s.StaticPod{}, &k8s.ConfigStatus{}, &k8s.SecretsStatus{}, &etcd.PKIStatus{}, &secrets.Etcd{},
		&secrets.Kubernetes{}, &secrets.KubernetesDynamicCerts{})

	if config, ok := o.document(o.Kubelet); ok {
		set.Add(o.kubelet(config))
	}

	set.Add(o.pods()...)

	if o.EtcdSecrets != "" {
		set.Add(o.etcd()...)
		set.Add(o.kubernetes()...)
	}

	return &set
}

func (o Options) kubelet(config map[string]any) *k8s.KubeletSpec {
	spec := k8s.NewKubeletSpec(k8s.NamespaceName, k8s.KubeletID)
	*spec.TypedSpec() = k8s.KubeletSpecSpec{Image: o.Image, Args: o.Arguments(), ExpectedNodename: o.Node, Config: config}

	return spec
}

// pods are the static pods under the names of their files.
func (o Options) pods() []resource.Resource {
	// The pattern is constant.
	paths, _ := filepath.Glob(filepath.Join(o.Root, o.Manifests, "[^.]*.yaml"))
	slices.Sort(paths)

	var pods []resource.Resource

	for _, path := range paths {
		name := filepath.Base(path)

		if content, ok := o.document(filepath.Join(o.Manifests, name)); ok {
			pod := k8s.NewStaticPod(k8s.NamespaceName, strings.TrimSuffix(name, ".yaml"))
			pod.TypedSpec().Pod = content
			pods = append(pods, pod)
		}
	}

	if len(pods) > 0 {
		status := k8s.NewConfigStatus(k8s.ControlPlaneNamespaceName, k8s.ConfigStatusStaticPodID)
		status.TypedSpec().Ready = true
		pods = append(pods, status)
	}

	return pods
}

func (o Options) etcd() []resource.Resource {
	certs := secrets.NewEtcd()
	*certs.TypedSpec() = secrets.EtcdCertsSpec{
		Etcd:          o.pair(o.EtcdSecrets, "server"),
		EtcdPeer:      o.pair(o.EtcdSecrets, "peer"),
		EtcdAdmin:     o.pair(o.EtcdSecrets, "admin"),
		EtcdAPIServer: o.pair(o.KubernetesSecrets, "kube-apiserver/etcd-client"),
	}

	if certs.TypedSpec().Etcd == nil {
		return nil
	}

	status := etcd.NewPKIStatus(etcd.NamespaceName, etcd.PKIID)
	status.TypedSpec().Ready = true

	return []resource.Resource{certs, status}
}

func (o Options) kubernetes() []resource.Resource {
	certs := secrets.NewKubernetesDynamicCerts()
	*certs.TypedSpec() = secrets.KubernetesDynamicCertsSpec{
		APIServer:              o.pair(o.KubernetesSecrets, "kube-apiserver/server"),
		APIServerKubeletClient: o.pair(o.KubernetesSecrets, "kube-apiserver/kubelet-client"),
		FrontProxy:             o.pair(o.KubernetesSecrets, "kube-apiserver/front-proxy-client"),
	}

	if certs.TypedSpec().APIServer == nil {
		return nil
	}

	kubeconfigs := secrets.NewKubernetes()
	*kubeconfigs.TypedSpec() = secrets.KubernetesCertsSpec{
		SchedulerKubeconfig:         o.text(filepath.Join(o.KubernetesSecrets, "kube-scheduler/kubeconfig")),
		ControllerManagerKubeconfig: o.text(filepath.Join(o.KubernetesSecrets, "kube-controller-manager/kubeconfig")),
	}

	status := k8s.NewSecretsStatus(k8s.ControlPlaneNamespaceName, k8s.StaticPodSecretsStaticPodID)
	status.TypedSpec().Ready = true

	return []resource.Resource{certs, kubeconfigs, status}
}

// pair is a certificate and its key; nil where they are not there.
func (o Options) pair(directory, name string) *x509.PEMEncodedCertificateAndKey {
	crt, key := o.text(filepath.Join(directory, name+".crt")), o.text(filepath.Join(directory, name+".key"))
	if crt == "" || key == "" {
		return nil
	}

	return &x509.PEMEncodedCertificateAndKey{Crt: []byte(crt), Key: []byte(key)}
}

// document reads YAML; false means that there is none.
func (o Options) document(path string) (map[string]any, bool) {
	var content map[string]any
	if err := yaml.Unmarshal([]byte(o.text(path)), &content); err != nil || len(content) == 0 {
		return nil, false
	}

	return content, true
}

// text is empty where the file is not there, or is none of ours.
func (o Options) text(path string) string {
	path = filepath.Join(o.Root, path)

	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > fileLimit {
		return ""
	}

	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}

	return string(content)
}
