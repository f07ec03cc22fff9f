package honoured

import (
	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
	"github.com/bronze-os/bronze/images/machined/internal/sysctl"
	"github.com/bronze-os/bronze/images/node"
)

const (
	noDisk      = "A container node has no disk of its own: give it room with the engine's volumes."
	oneAddress  = "A container node has one address in the network of its cluster."
	engineNames = "The engine names a container node, and Kubernetes and the other nodes know it by that name."
	hostOwned   = "It belongs to the host's kernel, which a container node leaves as it is: set it on the host."
)

// field makes a field of the node's own document.
func field(path string, state State, note string) Field {
	return Field{Kind: NodeDocument, Path: path, State: state, Note: note}
}

// warned is a field without effect. The usual values ask for what is so anyway.
func warned(path, note string, usual ...any) Field {
	return Field{Kind: NodeDocument, Path: path, State: Warned, Note: note, Concerns: unless(usual...)}
}

func general() []Field {
	return []Field{
		field("version", Live, "The format of the document."),
		warned("debug", "A node's services log as much as their own arguments say.", false),
		warned("persist", "A machine config is always kept; `apply-config --mode=try` goes back by itself.", true),
	}
}

func machine(versions node.Versions) []Field {
	return []Field{
		field("machine.type", Reboot, "A control plane has other services than a worker."),
		field("machine.token", Live, "Workers show it to trustd, control planes compare."),
		field("machine.ca", Reboot, "Signs the machine API's certificates."),
		field("machine.acceptedCAs", Live, "Further authorities of clients of the machine API."),
		field("machine.certSANs", Live, "Names in the machine API's certificate, which is made anew."),
		field("machine.controlPlane", Live, "A component that is disabled is taken off the node."),
		field("machine.kubelet", Live, "The kubelet restarts; pods run on."),
		{
			Kind: NodeDocument, Path: "machine.kubelet.image", State: Warned,
			Note:     "The kubelet is a program of the node image: " + versions.Kubernetes + ".",
			Concerns: unless("ghcr.io/siderolabs/kubelet:" + versions.Kubernetes),
		},
		warned("machine.kubelet.extraMounts", "The kubelet is a process of the node itself and sees all of it."),
		warned("machine.kubelet.nodeIP", oneAddress),
		warned("machine.kubelet.registerWithFQDN", engineNames, false),
		field("machine.pods", Live, "Static pods."),
		field("machine.files", Live, "Files below /var; `create`, `overwrite` and `append`."),
		field("machine.env", Live, "Environment of containerd and the kubelet, which restart. Of it, `"+ttl.Variable+
			"` is how long others believe in the node while it is silent: `3s` to `30m`, and `45s` where nothing is set."),
		{
			Kind: NodeDocument, Path: "machine.sysctls", State: Live,
			Note:     "Parameters of the node's network and IPC namespaces. Any other belongs to the host, and is not written.",
			Concerns: func(below []string, _ any) bool { return len(below) > 0 && sysctl.IsNodes(below[0]) },
		},
		field("machine.sysfs", Warned, hostOwned),
		field("machine.udev", Warned, hostOwned),
		field("machine.kernel", Warned, hostOwned),
		field("machine.disks", Warned, noDisk),
		field("machine.install", Warned, noDisk),
		warned("machine.install.wipe", noDisk, false),
		warned("machine.install.grubUseUKICmdline", noDisk, true, false),
		field("machine.systemDiskEncryption", Warned, noDisk),
		field("machine.registries", Live, "containerd's hosts.toml for each registry; it restarts only for new credentials."),
		field("machine.seccompProfiles", Live, "Files for `localhostProfile: profiles/NAME`."),
		field("machine.baseRuntimeSpecOverrides", Warned, "Containers start with containerd's own defaults."),
		field("machine.logging", Warned, "Ask for logs with `talosctl logs`; they are not sent anywhere."),
		field("machine.nodeLabels", Live, "Those that the config no longer holds go."),
		field("machine.nodeAnnotations", Live, "Those that the config no longer holds go."),
		field("machine.nodeTaints", Live, "Those that the config no longer holds go. On a worker, what its Node is first made with: Kubernetes lets no kubelet change taints."),
		warned("machine.time", "The clock is the host's; the servers are shown and not asked.", true),
	}
}

func machineNetwork() []Field {
	const engines = "The engine gives a container node its interfaces and addresses: set them with `docker network` and `docker run`."

	return []Field{
		field("machine.network", Warned, engines),
		field("machine.network.hostname", Warned, engineNames),
		field("machine.network.nameservers", Live, "Whom the node asks on behalf of pods, instead of the engine's resolver."),
		field("machine.network.searchDomains", Live, "Search list of pods with the node's DNS policy."),
		warned("machine.network.disableSearchDomain", "A container node has no domain that it could add.", true, false),
		field("machine.network.extraHostEntries", Live, "Lines of /etc/hosts."),
		warned("machine.network.kubespan.enabled", "The nodes of a cluster share one network.", false),
	}
}

func features() []Field {
	const relay = "Pods reach the node's resolver only through the relay on 169.254.116.108."

	return []Field{
		field("machine.features", Warned, "A feature that Bronze does not know."),
		field("machine.features.rbac", Live, "Off, every client of the machine API is an administrator."),
		warned("machine.features.stableHostname", engineNames, true, false),
		warned("machine.features.kubernetesTalosAPIAccess", "Pods have no access to the machine API.", false),
		warned("machine.features.apidCheckExtKeyUsage", "A client's certificate must always be one for clients.", true),
		warned("machine.features.diskQuotaSupport", "The volumes of a container node have no quotas.", true, false),
		warned("machine.features.kubePrism.enabled", "The node's own services need the balancer.", true),
		field("machine.features.kubePrism.port", Reboot, "The port and the two above it."),
		warned("machine.features.hostDNS.enabled", relay, true),
		warned("machine.features.hostDNS.forwardKubeDNSToHost", relay, true),
		warned("machine.features.hostDNS.resolveMemberNames", "The engine's resolver knows the nodes by their containers' names.", false),
		warned("machine.features.imageCache", "All images of the cluster itself are in the node image.", false),
		warned("machine.features.nodeAddressSortAlgorithm", oneAddress, "v1", "v2"),
	}
}
