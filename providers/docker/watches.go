package docker

import (
	"context"
	"fmt"

	"github.com/bronze-os/bronze/provision"
)

// What a node's programs need of inotify instances: on a control plane the kubelet 6, the API server 6, containerd 2, the
// controller manager 2 and kube-proxy 1, counted on idle nodes.
const (
	instancesOfControlPlane = 17
	instancesOfWorker       = 9
)

// checkWatches refuses a cluster whose nodes would starve of inotify instances, which all programs of root on a host
// share. Without them a container runtime comes up without its Kubernetes half, and a node never joins.
func (p *Provider) checkWatches(ctx context.Context, cluster provision.Cluster) error {
	info, err := p.info(ctx)
	if err != nil || !p.local(info) {
		return err
	}
	running, err := p.runningNodes(ctx, cluster.Name)
	if err != nil {
		return err
	}
	wanted := instancesFor(cluster, running)
	left, err := instancesLeft(wanted)
	if err != nil || left >= wanted {
		return err
	}
	err = fmt.Errorf("cannot run the nodes: they need %d inotify instances, and the host has %d left", wanted, left)
	return provision.WithHint(err, "sysctl fs.inotify.max_user_instances=8192, or destroy other clusters")
}

// instancesFor is what the cluster's nodes need that do not run yet.
func instancesFor(cluster provision.Cluster, running map[string]bool) int {
	wanted := 0
	for _, node := range cluster.Nodes {
		switch {
		case running[node.Name]:
		case node.Role == provision.ControlPlane:
			wanted += instancesOfControlPlane
		default:
			wanted += instancesOfWorker
		}
	}
	return wanted
}

func (p *Provider) runningNodes(ctx context.Context, cluster string) (map[string]bool, error) {
	observed, err := p.Observe(ctx, cluster)
	if err != nil {
		return nil, err
	}
	running := map[string]bool{}
	for _, machine := range observed.Machines {
		running[machine.Name] = machine.State == provision.MachineRunning || machine.State == provision.MachinePaused
	}
	return running, nil
}
