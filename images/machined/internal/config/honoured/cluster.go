package honoured

import (
	"strings"

	"github.com/bronze-os/bronze/images/node"
)

func cluster(versions node.Versions) []Field {
	const keeps = "Nodes, pods and Services that are there keep the addresses that they have."

	return []Field{
		field("cluster.id", Live, "The cluster's name towards discovery."),
		field("cluster.secret", Live, "What nodes encrypt with what they announce."),
		field("cluster.controlPlane", Live, "The endpoint, and the port of the API server."),
		field("cluster.clusterName", Live, "The name in kubeconfigs."),
		field("cluster.token", Live, "New workers ask for their certificate with it."),
		field("cluster.aescbcEncryptionSecret", Live, "Secrets that are written from then on."),
		field("cluster.secretboxEncryptionSecret", Live, "Secrets that are written from then on."),
		field("cluster.ca", Reboot, "Certificates of the whole control plane."),
		field("cluster.acceptedCAs", Live, "Further authorities of clients of the Kubernetes API."),
		field("cluster.aggregatorCA", Live, "Proof of the API server towards extension servers."),
		field("cluster.serviceAccount", Live, "Tokens that were signed before are no longer good."),

		field("cluster.apiServer", Live, "The static pod restarts."),
		warned("cluster.apiServer.disablePodSecurityPolicy", "Kubernetes has no pod security policies any more.", true, false),
		field("cluster.controllerManager", Live, "The static pod restarts."),
		field("cluster.scheduler", Live, "The static pod restarts."),
		image("cluster.apiServer", "registry.k8s.io/kube-apiserver:"+versions.Kubernetes),
		image("cluster.controllerManager", "registry.k8s.io/kube-controller-manager:"+versions.Kubernetes),
		image("cluster.scheduler", "registry.k8s.io/kube-scheduler:"+versions.Kubernetes),
		image("cluster.proxy", "registry.k8s.io/kube-proxy:"+versions.Kubernetes),
		image("cluster.coreDNS", "registry.k8s.io/coredns/coredns:"+versions.CoreDNS),
		image("cluster.etcd", "gcr.io/etcd-development/etcd:"+versions.Etcd, "registry.k8s.io/etcd:"+strings.TrimPrefix(versions.Etcd, "v")),

		field("cluster.proxy", Live, "The DaemonSet follows; one that is disabled later stays until it is deleted."),
		warned("cluster.proxy.mode", "The node image has nft alone.", "nftables", "iptables", ""),
		field("cluster.coreDNS", Live, "The Deployment follows; one that is disabled later stays until it is deleted."),
		field("cluster.etcd", Live, "etcd restarts."),
		warned("cluster.etcd.subnet", oneAddress),
		warned("cluster.etcd.advertisedSubnets", oneAddress),
		warned("cluster.etcd.listenSubnets", oneAddress),
		field("cluster.etcd.ca", Reboot, "Certificates of etcd and its clients."),

		field("cluster.network.cni", Reboot, "`flannel` is a service of the node."),
		field("cluster.network.cni.urls", Live, "Their objects are created where they are missing."),
		field("cluster.network.cni.flannel.extraArgs", Live, "flanneld restarts."),
		warned("cluster.network.cni.flannel.kubeNetworkPoliciesEnabled", "Install a CNI with network policies.", false),
		field("cluster.network.dnsDomain", Live, "The kubelet restarts; CoreDNS follows."),
		field("cluster.network.podSubnets", Reboot, keeps),
		field("cluster.network.serviceSubnets", Reboot, keeps),

		field("cluster.discovery", Live, "Whether the node announces itself to the others."),
		warned("cluster.discovery.registries.kubernetes", "Kubernetes no longer lets nodes tell of each other; the service does.", true),
		field("cluster.externalCloudProvider", Live, "The control plane and the kubelet restart."),
		field("cluster.extraManifests", Live, "Their objects are created where they are missing."),
		field("cluster.extraManifestHeaders", Live, "Sent with each request for an extra manifest."),
		field("cluster.inlineManifests", Live, "Their objects are created where they are missing."),
		field("cluster.adminKubeconfig", Live, "The next kubeconfig that is asked for."),
		field("cluster.allowSchedulingOnControlPlanes", Live, "The taint of the control planes."),
		field("cluster.allowSchedulingOnMasters", Live, "The taint of the control planes."),
	}
}

// image is the image of a component that is in the node image, under the names that ask for just that version.
func image(component string, own ...any) Field {
	return warned(component+".image", "The node image holds this component; another version is another node image.", append(own, "")...)
}
