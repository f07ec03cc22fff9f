package docker

import (
	"maps"
	"strings"

	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// clusterLabels are on everything of a cluster.
func clusterLabels(cluster string) map[string]string {
	return map[string]string{boot.LabelOwned: "true", boot.LabelClusterName: cluster}
}

// nodeLabels are on a node's container: the three that Talos knows.
func nodeLabels(cluster string, role provision.Role) map[string]string {
	labels := clusterLabels(cluster)
	labels[boot.LabelType] = string(role)
	return labels
}

func volumeLabels(cluster, node, path string) map[string]string {
	labels := clusterLabels(cluster)
	maps.Copy(labels, map[string]string{boot.LabelNode: node, boot.LabelVolume: path})
	return labels
}

// ours tells whether an object belongs to the cluster.
func ours(labels map[string]string, cluster string) bool {
	return labels[boot.LabelOwned] == "true" && labels[boot.LabelClusterName] == cluster
}

// volumeName is the node's name and the path with hyphens for slashes, such as "dev-worker-1-etc-cni".
func volumeName(node, path string) string {
	return node + strings.ReplaceAll(path, "/", "-")
}

// filterBy finds the objects of a cluster, or of all clusters where it is empty.
func filterBy(cluster string) client.Filters {
	filters := client.Filters{}.Add("label", boot.LabelOwned+"=true")
	if cluster != "" {
		return filters.Add("label", boot.LabelClusterName+"="+cluster)
	}
	return filters.Add("label", boot.LabelClusterName)
}
