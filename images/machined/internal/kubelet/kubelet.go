// Package kubelet configures the kubelet of a node: its configuration file, its identity and its command line.
package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	// ConfigFile is the kubelet's configuration, in YAML.
	ConfigFile = "/etc/kubernetes/kubelet.yaml"
	// Kubeconfig is the kubelet's identity: made here on a control plane, by the kubelet itself from the bootstrap
	// token on a worker.
	Kubeconfig = "/var/lib/kubelet/kubeconfig"
	// FlannelKubeconfig is the same identity for flanneld, which waits for the API's roles.
	FlannelKubeconfig = "/etc/kubernetes/flannel-kubeconfig"

	// ClientPair holds a worker's certificate and key for the Kubernetes API, in PEM.
	ClientPair = stateDir + "/pki/kubelet-client-current.pem"

	bootstrapKubeconfig = "/etc/kubernetes/bootstrap-kubeconfig"
	caFile              = "/etc/kubernetes/pki/ca.crt"
	stateDir            = "/var/lib/kubelet"
	// credentialProviders holds the programs that credentialConfig names: on a volume, as users have to bring them.
	credentialProviders = stateDir + "/credentialproviders"
	credentialConfig    = "/etc/kubernetes/credentialproviders.json"
	healthURL           = "http://127.0.0.1:10248/healthz"
)

// Kubelet is the kubelet of this node.
type Kubelet struct {
	Config config.Provider
	// Name is the node's name.
	Name string
	IP   netip.Addr
	// ServingPort is the loopback port of the balancer that holds clients until the Kubernetes API serves, SettledPort
	// that of the one that waits for its roles.
	ServingPort, SettledPort int
	// ResolvConf is the resolver configuration that pods with the node's DNS policy get.
	ResolvConf string
}

// Files answers everything the kubelet reads.
func (k Kubelet) Files() ([]rootfs.Step, error) {
	settings, err := k.settings()
	if err != nil {
		return nil, err
	}

	identity, err := k.identity()
	if err != nil {
		return nil, err
	}

	return append(settings, identity...), nil
}

// Mark differs whenever the kubelet's files do in more than what certificates differ in each time that they are made.
func (k Kubelet) Mark() any {
	settings, err := k.settings()
	if err != nil {
		// Files tells the same error.
		return nil
	}

	return []any{fmt.Sprintf("%#v", settings), string(k.bootstrap().Render()), k.SettledPort}
}

// settings are the files that prove nothing.
func (k Kubelet) settings() ([]rootfs.Step, error) {
	configuration, err := k.configuration()
	if err != nil {
		return nil, err
	}

	providers, err := json.Marshal(k.Config.Machine().Kubelet().CredentialProviderConfig())
	if err != nil {
		return nil, fmt.Errorf("cannot encode the kubelet's credential providers: %w", err)
	}

	return []rootfs.Step{
		rootfs.Dir{Path: stateDir, Mode: 0o755},
		rootfs.Dir{Path: credentialProviders, Mode: 0o755},
		rootfs.File{Path: caFile, Content: string(k.Config.Cluster().IssuingCA().Crt), Mode: 0o644},
		rootfs.File{Path: ConfigFile, Content: string(configuration), Mode: 0o600},
		rootfs.File{Path: credentialConfig, Content: string(providers), Mode: 0o600},
	}, nil
}

// identity is a certificate of its own where the node holds the cluster's key, which saves a control plane the wait
// for the API that it is itself to start; elsewhere it is the token that the kubelet asks for a certificate with.
func (k Kubelet) identity() ([]rootfs.Step, error) {
	user := "system:node:" + k.Name

	if !k.isControlPlane() {
		flannel := k.kubeconfig(user, k.SettledPort)
		flannel.PairFile = ClientPair

		return []rootfs.Step{kubeConfigFile(bootstrapKubeconfig, k.bootstrap()), kubeConfigFile(FlannelKubeconfig, flannel)}, nil
	}

	certificate, err := kubernetes.Issue(k.Config.Cluster().IssuingCA(), kubernetes.Identity{CommonName: user, Organization: "system:nodes"})
	if err != nil {
		return nil, fmt.Errorf("making the kubelet's certificate: %w", err)
	}

	own, flannel := k.kubeconfig(user, k.ServingPort), k.kubeconfig(user, k.SettledPort)
	own.Certificate, own.Key = certificate.Crt, certificate.Key
	flannel.Certificate, flannel.Key = certificate.Crt, certificate.Key

	return []rootfs.Step{kubeConfigFile(Kubeconfig, own), kubeConfigFile(FlannelKubeconfig, flannel)}, nil
}

// bootstrap is what a worker's kubelet asks for its certificate with.
func (k Kubelet) bootstrap() kubernetes.Kubeconfig {
	bootstrap := k.kubeconfig("kubelet-bootstrap", k.ServingPort)
	bootstrap.Token = k.Config.Cluster().Token().ID() + "." + k.Config.Cluster().Token().Secret()

	return bootstrap
}

// kubeconfig lacks the proof of who the user is.
func (k Kubelet) kubeconfig(user string, port int) kubernetes.Kubeconfig {
	return kubernetes.Kubeconfig{
		Cluster: k.Config.Cluster().Name(),
		User:    user,
		Server:  fmt.Sprintf("https://127.0.0.1:%d", port),
		CA:      k.Config.Cluster().IssuingCA().Crt,
	}
}

func kubeConfigFile(path string, content kubernetes.Kubeconfig) rootfs.Step {
	return rootfs.File{Path: path, Content: string(content.Render()), Mode: 0o600}
}

func (k Kubelet) isControlPlane() bool {
	return k.Config.Machine().Type() != machine.TypeWorker
}

// Arguments is the kubelet's command line.
func (k Kubelet) Arguments() []string {
	values := kubernetes.Flags{
		"config":            {ConfigFile},
		"kubeconfig":        {Kubeconfig},
		"cert-dir":          {stateDir + "/pki"},
		"root-dir":          {stateDir},
		"hostname-override": {k.Name},
		"node-ip":           {k.IP.String()},
	}

	if !k.isControlPlane() {
		values["bootstrap-kubeconfig"] = []string{bootstrapKubeconfig}
	}

	if k.Config.Machine().Kubelet().SkipNodeRegistration() {
		// A kubelet without a kubeconfig stands alone.
		delete(values, "kubeconfig")
		delete(values, "bootstrap-kubeconfig")
	}

	if len(k.Config.Machine().Kubelet().CredentialProviderConfig()) > 0 {
		values["image-credential-provider-config"] = []string{credentialConfig}
		values["image-credential-provider-bin-dir"] = []string{credentialProviders}
	}

	if k.Config.Cluster().ExternalCloudProvider().Enabled() {
		values["cloud-provider"] = []string{"external"}
	}

	return append([]string{"/usr/bin/kubelet"}, values.With(k.Config.Machine().Kubelet().ExtraArgs()).Arguments()...)
}

// HasIdentity tells whether the certificate that Kubeconfig names is there. On a worker the kubelet writes the kubeconfig
// as soon as it starts, and the certificate only when the API has signed it.
func (k Kubelet) HasIdentity() bool {
	file := ClientPair
	if k.isControlPlane() {
		file = Kubeconfig
	}

	_, err := os.Stat(file)

	return !errors.Is(err, fs.ErrNotExist)
}

// HasRun tells whether a kubelet has kept pods on this node's volume before.
func HasRun() bool {
	_, err := os.Stat(stateDir + "/pods")

	return !errors.Is(err, fs.ErrNotExist)
}

// Healthy asks the kubelet for its health.
func Healthy(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, healthURL, nil)
	if err != nil {
		return err
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the kubelet for its health: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("the kubelet is not healthy: %s", text)
	}

	return nil
}
