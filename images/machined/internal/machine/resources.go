package machine

import (
	"context"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"

	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/etcd"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/diagnostics"
	"github.com/bronze-os/bronze/images/machined/internal/resources/kernel"
	"github.com/bronze-os/bronze/images/machined/internal/resources/kube"
	"github.com/bronze-os/bronze/images/machined/internal/resources/netstate"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
	"github.com/bronze-os/bronze/images/machined/internal/resources/settings"
	"github.com/bronze-os/bronze/images/machined/internal/resources/written"
)

// publish tells what the node is and does as resources, until ctx ends.
func (m *Machine) publish(ctx context.Context) error {
	options := resources.Options{
		State:     m.state,
		Services:  m.services,
		Events:    m.events,
		Addresses: m.addresses,
		Stage:     m.stage,
		Settings:  m.settings,
		Log:       m.log,
	}

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return m.addresses.Run(ctx) })
	group.Go(func() error { return netstate.Run(ctx, m.state) })

	// The rest needs a machine config, without which the node is in maintenance mode.
	facts := kernel.Options{State: m.state}

	if m.config != nil {
		options.Changed, options.Kubelet = m.config.Changed, m.podSource()
		facts.Params, facts.Changed = m.params, m.config.Changed

		group.Go(func() error { return kube.Run(ctx, m.kubeFacts()) })
		group.Go(func() error { return written.Run(ctx, m.files()) })
		group.Go(func() error { return publish.Whenever(ctx, m.showCertificates, m.pki.Renewed, m.config.Changed) })
		group.Go(func() error {
			return diagnostics.Run(ctx, diagnostics.Options{State: m.state, Kubelet: net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.KubeletPort))})
		})
	}

	group.Go(func() error { return resources.Run(ctx, options) })
	group.Go(func() error { return kernel.Run(ctx, facts) })

	return group.Wait()
}

// podSource is the kubelet as a control plane may ask it; nil on a worker, which may not.
func (m *Machine) podSource() *resources.Kubelet {
	if !m.isControlPlane() {
		return nil
	}

	return &resources.Kubelet{Cert: kubernetes.KubeletClientCert(), Key: kubernetes.KubeletClientKey(), Expected: m.expectedPods}
}

// params are the kernel parameters that the machine config sets.
func (m *Machine) params() []string {
	return slices.Sorted(maps.Keys(m.Config().Machine().Sysctls()))
}

func (m *Machine) kubeFacts() kube.Options {
	return kube.Options{
		State:        m.state,
		Node:         m.hostname,
		Connect:      m.ownNodeAPI,
		ControlPlane: m.isControlPlane(),
		Balancer: kube.Balancer{
			Port:      m.servingPort,
			Upstreams: func() []string { return m.upstreams(context.Background()) },
			Healthy:   m.serving.Healthy,
			// The balancer is a service, and its health is that service's.
			Checked: m.services.Changed,
		},
	}
}

// files are what the node writes for the programs that it runs.
func (m *Machine) files() written.Options {
	options := written.Options{
		State:     m.state,
		Kubelet:   kubelet.ConfigFile,
		Manifests: kubernetes.ManifestsDir,
		Node:      m.hostname,
		Arguments: func() []string { return m.ownKubelet().Arguments()[1:] },
		Image:     m.image("kubelet"),
		Changed:   m.wrote.Changed,
	}

	if m.isControlPlane() {
		options.EtcdSecrets, options.KubernetesSecrets = etcd.SecretsDir, kubernetes.SecretsDir
	}

	return options
}

// showCertificates tells, to administrators alone, which certificates the node has for its machine API.
func (m *Machine) showCertificates(ctx context.Context) error {
	told, err := m.pki.Told()
	if err != nil || told == nil {
		return err
	}

	certificates := secrets.NewAPI()
	*certificates.TypedSpec() = *told

	var set publish.Set
	set.Add(certificates)

	if m.isControlPlane() {
		trust := secrets.NewTrustd()
		*trust.TypedSpec() = secrets.TrustdCertsSpec{AcceptedCAs: told.AcceptedCAs, Server: told.Server}
		set.Add(trust)
	}

	return set.Write(ctx, m.state)
}

// showManifests tells what the control plane brings to the cluster, and that all of it is there.
func (m *Machine) showManifests(ctx context.Context, manifests kubernetes.Manifests, applied bool) error {
	groups := map[string][]kubeapi.Object{"00-base": manifests.Base, "10-add-ons": manifests.Own, "20-inline": manifests.Others}

	return kube.Manifests(groups, applied).Write(ctx, m.state)
}

// ownNodeAPI waits for what lets the node read its own Node, and answers a client of the Kubernetes API that is held until
// that serves.
func (m *Machine) ownNodeAPI(ctx context.Context) (*kubeapi.Client, error) {
	if err := poll(ctx, m.ownKubelet().HasIdentity); err != nil {
		return nil, err
	}

	config, err := m.nodeTLS()
	if err != nil {
		return nil, err
	}

	return kubeapi.New("https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(m.servingPort())), config), nil
}

// expectedPods are the static pods without which a control plane is none.
func (m *Machine) expectedPods() []string {
	pods := []string{"kube-apiserver"}

	if !m.Config().Machine().Controlplane().ControllerManager().Disabled() {
		pods = append(pods, "kube-controller-manager")
	}

	if !m.Config().Machine().Controlplane().Scheduler().Disabled() {
		pods = append(pods, "kube-scheduler")
	}

	return pods
}

// settings are what the resources of the machine config are made of.
func (m *Machine) settings() settings.Node {
	node := settings.Node{
		Hostname: m.hostname,
		IP:       m.ip,
		Platform: boot.PlatformContainer,
		Talos:    m.versions.Talos,
		Images:   m.image,
	}

	if m.config != nil {
		node.Config, node.Kept, node.KubePrism = m.Config(), m.config.Kept(), m.servingPort()
	}

	// A node without the file has no resolvers.
	text, _ := os.ReadFile("/etc/resolv.conf")
	node.Resolvers, node.Search = settings.ReadResolvers(string(text))

	return node
}

// image names what a component runs from: the node's own programs, under the names that containers of them would have.
func (m *Machine) image(component string) string {
	versions := map[string]string{"etcd": m.versions.Etcd, "coredns": m.versions.CoreDNS}

	version, ok := versions[component]
	if !ok {
		version = m.versions.Kubernetes
	}

	return "bronze.local/" + component + ":" + version
}
