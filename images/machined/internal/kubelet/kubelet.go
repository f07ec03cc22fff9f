// Package kubelet configures the kubelet of a node: its configuration file, its identity and its command line.
package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	// Kubeconfig is the kubelet's identity: made here on a control plane, by the kubelet itself from the bootstrap
	// token on a worker.
	Kubeconfig = "/var/lib/kubelet/kubeconfig"
	// FlannelKubeconfig is the same identity for flanneld, which waits for the API's roles.
	FlannelKubeconfig = "/etc/kubernetes/flannel-kubeconfig"

	// ClientPair holds a worker's certificate and key for the Kubernetes API, in PEM.
	ClientPair = stateDir + "/pki/kubelet-client-current.pem"

	bootstrapKubeconfig = "/etc/kubernetes/bootstrap-kubeconfig"
	configFile          = "/etc/kubernetes/kubelet.yaml"
	caFile              = "/etc/kubernetes/pki/ca.crt"
	stateDir            = "/var/lib/kubelet"
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
	configuration, err := k.configuration()
	if err != nil {
		return nil, err
	}

	identity, err := k.identity()
	if err != nil {
		return nil, err
	}

	return append([]rootfs.Step{
		rootfs.Dir{Path: stateDir, Mode: 0o755},
		rootfs.File{Path: caFile, Content: string(k.Config.Cluster().IssuingCA().Crt), Mode: 0o644},
		rootfs.File{Path: configFile, Content: string(configuration), Mode: 0o600},
	}, identity...), nil
}

// identity is a certificate of its own where the node holds the cluster's key, which saves a control plane the wait
// for the API that it is itself to start; elsewhere it is the token that the kubelet asks for a certificate with.
func (k Kubelet) identity() ([]rootfs.Step, error) {
	user := "system:node:" + k.Name

	if !k.isControlPlane() {
		bootstrap := k.kubeconfig("kubelet-bootstrap", k.ServingPort)
		bootstrap.Token = k.Config.Cluster().Token().ID() + "." + k.Config.Cluster().Token().Secret()

		flannel := k.kubeconfig(user, k.SettledPort)
		flannel.PairFile = ClientPair

		return []rootfs.Step{kubeconfigFile(bootstrapKubeconfig, bootstrap), kubeconfigFile(FlannelKubeconfig, flannel)}, nil
	}

	certificate, err := kubernetes.Issue(k.Config.Cluster().IssuingCA(), kubernetes.Identity{CommonName: user, Organization: "system:nodes"})
	if err != nil {
		return nil, fmt.Errorf("making the kubelet's certificate: %w", err)
	}

	own, flannel := k.kubeconfig(user, k.ServingPort), k.kubeconfig(user, k.SettledPort)
	own.Certificate, own.Key = certificate.Crt, certificate.Key
	flannel.Certificate, flannel.Key = certificate.Crt, certificate.Key

	return []rootfs.Step{kubeconfigFile(Kubeconfig, own), kubeconfigFile(FlannelKubeconfig, flannel)}, nil
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

func kubeconfigFile(path string, content kubernetes.Kubeconfig) rootfs.Step {
	return rootfs.File{Path: path, Content: string(content.Render()), Mode: 0o600}
}

func (k Kubelet) isControlPlane() bool {
	return k.Config.Machine().Type() != machine.TypeWorker
}

// configuration is the KubeletConfiguration, with the machine config's extraConfig laid over it.
func (k Kubelet) configuration() ([]byte, error) {
	type object = map[string]any

	kubelet := k.Config.Machine().Kubelet()

	settings := object{
		"apiVersion":         "kubelet.config.k8s.io/v1beta1",
		"kind":               "KubeletConfiguration",
		"address":            "0.0.0.0",
		"authentication":     object{"x509": object{"clientCAFile": caFile}, "webhook": object{"enabled": true}, "anonymous": object{"enabled": false}},
		"authorization":      object{"mode": "Webhook"},
		"clusterDNS":         k.clusterDNS(),
		"clusterDomain":      k.Config.Cluster().Network().DNSDomain(),
		"resolvConf":         k.ResolvConf,
		"rotateCertificates": !k.isControlPlane(),
		"staticPodPath":      kubernetes.ManifestsDir,
		// The kubelet sets limits below the node's own control group, on v1 and v2 alike.
		"cgroupDriver": "cgroupfs",
		"cgroupRoot":   "/",
		"failCgroupV1": false,
		"failSwapOn":   false,
		// A developer's disk is often nearly full, and it is the host's to free it.
		"evictionHard":                object{"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%", "imagefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent": 100,
		"containerRuntimeEndpoint":    "unix://" + containerd.Socket,
		"serializeImagePulls":         false,
		// A container that starts a moment too early is tried again after a second, not after ten.
		"crashLoopBackOff":          object{"maxContainerRestartPeriod": "1s"},
		"shutdownGracePeriod":       "0s",
		"logging":                   object{"verbosity": 1},
		"kubeAPIQPS":                100,
		"kubeAPIBurst":              200,
		"registerWithTaints":        k.taints(),
		"protectKernelDefaults":     true,
		"nodeStatusUpdateFrequency": "10s",
		"syncFrequency":             "30s",
		"fileCheckFrequency":        "5s",
		"volumeStatsAggPeriod":      "2m",
	}

	if kubelet.DefaultRuntimeSeccompProfileEnabled() {
		settings["seccompDefault"] = true
	}

	if kubelet.DisableManifestsDirectory() && !k.isControlPlane() && len(k.Config.Machine().Pods()) == 0 {
		delete(settings, "staticPodPath")
	}

	maps.Copy(settings, kubelet.ExtraConfig())

	content, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot encode the kubelet's configuration: %w", err)
	}

	return content, nil
}

func (k Kubelet) clusterDNS() []string {
	if asked := k.Config.Machine().Kubelet().ClusterDNS(); len(asked) > 0 {
		return asked
	}

	var servers []string

	addresses, err := k.Config.Cluster().Network().DNSServiceIPs()
	if err != nil {
		return nil
	}

	for _, address := range addresses {
		servers = append(servers, address.String())
	}

	return servers
}

// taints are those that the Node has from the start; kubernetes.Self keeps them as the machine config has them.
func (k Kubelet) taints() []map[string]any {
	taints := []map[string]any{}
	marks := kubernetes.Taints(k.Config.Machine().NodeTaints(), k.isControlPlane() && !k.Config.Cluster().ScheduleOnControlPlanes())

	for _, key := range slices.Sorted(maps.Keys(marks)) {
		taints = append(taints, map[string]any{"key": key, "value": marks[key].Value, "effect": marks[key].Effect})
	}

	return taints
}

// Arguments is the kubelet's command line.
func (k Kubelet) Arguments() []string {
	values := kubernetes.Flags{
		"config":            {configFile},
		"kubeconfig":        {Kubeconfig},
		"cert-dir":          {stateDir + "/pki"},
		"root-dir":          {stateDir},
		"hostname-override": {k.Name},
		"node-ip":           {k.IP.String()},
	}

	if !k.isControlPlane() {
		values["bootstrap-kubeconfig"] = []string{bootstrapKubeconfig}
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
