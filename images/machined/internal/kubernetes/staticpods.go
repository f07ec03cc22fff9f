package kubernetes

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/config"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// programFile is what all static pods run, by a read-only mount from the node: unpacked images of their own
// would hold the same bytes again.
const programFile = "/usr/bin/multicall"

// localRegistry is the host part in the names of images that are in the node and in no registry.
const localRegistry = "bronze.local"

// bootEnvironment lets a starting component allocate freely instead of collecting garbage while two cores have better
// things to do; images/components/multicall tells how. Afterwards it collects twice as often as usual, since on one
// machine the memory of an idle cluster costs more than its cycles.
func bootEnvironment(memoryLimit string) []map[string]any {
	return []map[string]any{
		{"name": "GOMEMLIMIT", "value": memoryLimit},
		{"name": "BRONZE_DEFER_GC", "value": "20s"},
		{"name": "GOGC", "value": "50"},
	}
}

// component is one static pod as a value.
type component struct {
	name        string
	image       string
	flags       Flags
	env         config.Env
	mounts      []hostMount
	resources   config.Resources
	memoryLimit string
	healthPort  int
	// inputs is the digest of the files that it reads at its start.
	inputs string
	// uid is the pod's, mark the digest of its manifest without the mark.
	uid, mark string
}

type hostMount struct {
	name, host, path string
	// kind is Kubernetes' type of a host path; the empty one takes whatever is there.
	kind     string
	writable bool
}

// StaticPods answers the manifests of the control plane. What the machine config switches off has none.
func (n Node) StaticPods() ([]rootfs.Step, error) {
	secrets, err := n.Secrets()
	if err != nil {
		return nil, err
	}

	disabled := map[string]bool{
		componentControllerManager: n.Config.Machine().Controlplane().ControllerManager().Disabled(),
		componentScheduler:         n.Config.Machine().Controlplane().Scheduler().Disabled(),
	}

	var steps []rootfs.Step

	for _, c := range []component{n.apiServer(), n.controllerManager(), n.scheduler()} {
		path := filepath.Join(ManifestsDir, c.name+".yaml")
		if disabled[c.name] {
			steps = append(steps, rootfs.Absent{Path: path})
			continue
		}

		c.inputs = inputs(secrets, c.name)

		content, err := c.manifest(n.Name)
		if err != nil {
			return nil, fmt.Errorf("cannot encode the manifest of %s: %w", c.name, err)
		}

		steps = append(steps, rootfs.File{Path: path, Content: string(content), Mode: 0o600})
	}

	return steps, nil
}

func (n Node) apiServer() component {
	cluster := n.Config.Cluster()
	file := func(name string) string { return secret(componentAPIServer, name) }

	values := map[string]string{
		"admission-control-config-file":      file("admission.json"),
		"advertise-address":                  n.IP.String(),
		"allow-privileged":                   "true",
		"authorization-mode":                 "Node,RBAC",
		"bind-address":                       "0.0.0.0",
		"client-ca-file":                     file("ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-bootstrap-token-auth":        "true",
		"encryption-provider-config":         file("encryption.json"),
		"etcd-cafile":                        file("etcd-ca.crt"),
		"etcd-certfile":                      file("etcd-client.crt"),
		"etcd-keyfile":                       file("etcd-client.key"),
		"etcd-servers":                       "https://127.0.0.1:" + strconv.Itoa(boot.EtcdClientPort),
		"kubelet-client-certificate":         file("kubelet-client.crt"),
		"kubelet-client-key":                 file("kubelet-client.key"),
		"kubelet-preferred-address-types":    "InternalIP",
		"profiling":                          "false",
		"proxy-client-cert-file":             file("front-proxy-client.crt"),
		"proxy-client-key-file":              file("front-proxy-client.key"),
		"requestheader-allowed-names":        "front-proxy-client",
		"requestheader-client-ca-file":       file("aggregator-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        strconv.Itoa(cluster.LocalAPIServerPort()),
		"service-account-issuer":             cluster.Endpoint().String(),
		"service-account-key-file":           file("service-account.pub"),
		"service-account-signing-key-file":   file("service-account.key"),
		"service-cluster-ip-range":           strings.Join(cluster.Network().ServiceCIDRs(), ","),
		"tls-cert-file":                      file("server.crt"),
		"tls-private-key-file":               file("server.key"),
		"tls-min-version":                    "VersionTLS12",
	}

	if n.authorizes() {
		delete(values, "authorization-mode")
		values["authorization-config"] = file("authorization.json")
	}

	// Watches do not end by themselves, and a server that ends waits for them until the kubelet kills it after 30 s: a flag
	// that changes would take as long to come to a running cluster.
	values["shutdown-watch-termination-grace-period"] = "1s"

	if cluster.APIServer().AuditPolicy() != nil {
		values["audit-policy-file"] = file("audit-policy.json")
		values["audit-log-path"] = filepath.Join(AuditLogDir, "kube-apiserver.log")
		values["audit-log-maxage"] = "30"
		values["audit-log-maxbackup"] = "3"
		values["audit-log-maxsize"] = "50"
	}

	mounts := append([]hostMount{{name: "audit", host: AuditLogDir, path: AuditLogDir, kind: directoryOrCreate, writable: true}}, extraMounts(cluster.APIServer().ExtraVolumes())...)

	return component{
		name:        componentAPIServer,
		image:       n.ownImage(componentAPIServer),
		flags:       flags(values).With(cluster.APIServer().ExtraArgs()),
		env:         cluster.APIServer().Env(),
		mounts:      mounts,
		resources:   cluster.APIServer().Resources(),
		memoryLimit: "300MiB",
		healthPort:  cluster.LocalAPIServerPort(),
	}
}

func (n Node) controllerManager() component {
	cluster := n.Config.Cluster()
	file := func(name string) string { return secret(componentControllerManager, name) }

	values := map[string]string{
		// This node hands out pod CIDRs itself, as soon as a Node appears: Nodes.
		"allocate-node-cidrs":              "false",
		"authentication-kubeconfig":        file("kubeconfig"),
		"authentication-skip-lookup":       "true",
		"authorization-kubeconfig":         file("kubeconfig"),
		"bind-address":                     "127.0.0.1",
		"cluster-cidr":                     strings.Join(cluster.Network().PodCIDRs(), ","),
		"cluster-signing-cert-file":        file("ca.crt"),
		"cluster-signing-key-file":         file("ca.key"),
		"controllers":                      "*,tokencleaner",
		"kube-api-burst":                   "1000",
		"kube-api-qps":                     "500",
		"kubeconfig":                       file("kubeconfig"),
		"leader-elect":                     "true",
		"profiling":                        "false",
		"root-ca-file":                     file("ca.crt"),
		"service-account-private-key-file": file("service-account.key"),
		"service-cluster-ip-range":         strings.Join(cluster.Network().ServiceCIDRs(), ","),
		"use-service-account-credentials":  "true",
	}

	if cluster.ExternalCloudProvider().Enabled() {
		values["cloud-provider"] = "external"
	}

	manager := cluster.ControllerManager()

	return component{
		name:        componentControllerManager,
		image:       n.ownImage(componentControllerManager),
		flags:       flags(values).With(manager.ExtraArgs()),
		env:         manager.Env(),
		mounts:      extraMounts(manager.ExtraVolumes()),
		resources:   manager.Resources(),
		memoryLimit: "150MiB",
		healthPort:  10257,
	}
}

func (n Node) scheduler() component {
	scheduler := n.Config.Cluster().Scheduler()
	file := secret(componentScheduler, "kubeconfig")

	values := map[string]string{
		"authentication-kubeconfig":              file,
		"authentication-tolerate-lookup-failure": "true",
		"authorization-kubeconfig":               file,
		"bind-address":                           "127.0.0.1",
		"kubeconfig":                             file,
		"leader-elect":                           "true",
		"profiling":                              "false",
	}

	if len(scheduler.Config()) > 0 {
		values["config"] = secret(componentScheduler, schedulerConfigFile)
	}

	return component{
		name:        componentScheduler,
		image:       n.ownImage(componentScheduler),
		flags:       flags(values).With(scheduler.ExtraArgs()),
		env:         scheduler.Env(),
		mounts:      extraMounts(scheduler.ExtraVolumes()),
		resources:   scheduler.Resources(),
		memoryLimit: "100MiB",
		healthPort:  10259,
	}
}

// ownImage is the image of a component that is in the node; the machine config's choice is warned of when it is applied.
func (n Node) ownImage(program string) string {
	return localRegistry + "/" + program + ":" + n.Versions.Kubernetes
}

func extraMounts(volumes []config.VolumeMount) []hostMount {
	var mounts []hostMount
	for _, v := range volumes {
		mounts = append(mounts, hostMount{name: v.Name(), host: v.HostPath(), path: v.MountPath(), writable: !v.ReadOnly()})
	}

	return mounts
}
