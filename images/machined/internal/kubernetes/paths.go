// Package kubernetes is the control plane as a node runs it: certificates and kubeconfigs out of the machine config's
// secrets, the static pods, what the API must hold before a cluster works, and the small controllers that nothing else
// in the cluster does as soon. It imports machinery's config and this node's kubeapi.
package kubernetes

import (
	"net/netip"
	"path/filepath"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/node"
)

const (
	// SecretsDir holds one directory of secrets for each static pod.
	SecretsDir = "/system/secrets/kubernetes"
	// ManifestsDir is where the kubelet looks for static pods.
	ManifestsDir = "/etc/kubernetes/manifests"
	// AuditLogDir is on the node, so that it outlives the pod.
	AuditLogDir = "/var/log/audit/kube"

	componentAPIServer         = "kube-apiserver"
	componentControllerManager = "kube-controller-manager"
	componentScheduler         = "kube-scheduler"
)

// KubeletClientCert and KubeletClientKey are what the API server shows to kubelets.
func KubeletClientCert() string { return secret(componentAPIServer, "kubelet-client.crt") }
func KubeletClientKey() string  { return secret(componentAPIServer, "kubelet-client.key") }

func secret(component, name string) string {
	return filepath.Join(SecretsDir, component, name)
}

// Node is what the control plane must know of the machine that it runs on.
type Node struct {
	Config config.Provider
	// Name is the node's name in Kubernetes.
	Name string
	// IP is its address in the cluster's network.
	IP netip.Addr
	// Versions are those of the node image.
	Versions node.Versions
	// SettledPort is the loopback port of the balancer that holds clients until the API's bootstrap roles exist.
	SettledPort int
	// HealthyPort is that of the balancer that holds clients until the API calls itself healthy.
	HealthyPort int
}
