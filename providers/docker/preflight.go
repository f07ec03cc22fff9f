package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// Preflight proves that the engine answers, speaks an API of 1.40 or later (Docker 19.03) and runs Linux containers,
// that it has the image, the processors and the inotify instances, and that nobody else has the names of the cluster's
// nodes.
func (p *Provider) Preflight(ctx context.Context, cluster provision.Cluster) error {
	// The client refuses an engine that is too old by itself, when it negotiates.
	ping, err := p.engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return p.unreachable(err)
	}
	if ping.OSType != "linux" {
		err := fmt.Errorf("cannot run nodes on an engine for %s containers", ping.OSType)
		return provision.WithHint(err, "switch the engine to Linux containers")
	}
	return errors.Join(p.checkImage(ctx, cluster.Image), p.checkSize(ctx, cluster), p.checkNames(ctx, cluster),
		p.checkWatches(ctx, cluster))
}

func (p *Provider) checkImage(ctx context.Context, image string) error {
	_, err := p.engine.ImageInspect(ctx, image)
	if cerrdefs.IsNotFound(err) {
		err := fmt.Errorf("cannot find node image %s in the engine at %s", image, p.host)
		return provision.WithHint(err, "bronze image build")
	}
	if err != nil {
		return fmt.Errorf("cannot inspect node image %s: %w", image, err)
	}
	return nil
}

// KubernetesVersion is in a label of the image.
func (p *Provider) KubernetesVersion(ctx context.Context, image string) (string, error) {
	found, err := p.engine.ImageInspect(ctx, image)
	if cerrdefs.IsNotFound(err) {
		return "", p.checkImage(ctx, image)
	}
	if err != nil {
		return "", fmt.Errorf("cannot inspect node image %s: %w", image, err)
	}
	if found.Config == nil {
		return "", nil
	}
	return found.Config.Labels[boot.LabelKubernetes], nil
}

// checkSize refuses what the engine would refuse: a node of more processors than there are.
func (p *Provider) checkSize(ctx context.Context, cluster provision.Cluster) error {
	info, err := p.info(ctx)
	if err != nil {
		return err
	}
	for _, node := range cluster.Nodes {
		if node.Resources.CPUs > float64(info.NCPU) {
			err := fmt.Errorf("cannot give node %q %g CPUs: the engine has %d", node.Name, node.Resources.CPUs, info.NCPU)
			return provision.WithHint(err, fmt.Sprintf("--cpus %d", info.NCPU))
		}
	}
	return nil
}

// Warnings tells where the nodes may use more memory than the engine's host has.
func (p *Provider) Warnings(ctx context.Context, cluster provision.Cluster) ([]string, error) {
	info, err := p.info(ctx)
	if err != nil {
		return nil, err
	}
	var asked int64
	for _, node := range cluster.Nodes {
		asked += node.Resources.MemoryMiB
	}
	if has := info.MemTotal / bytesPerMiB; asked > has {
		return []string{fmt.Sprintf("the nodes may use %d MiB of memory together, and the engine's host has %d MiB", asked, has)}, nil
	}
	return nil, nil
}

// checkNames refuses to take over a network, containers and volumes that bear the cluster's names and not its labels.
func (p *Provider) checkNames(ctx context.Context, cluster provision.Cluster) error {
	labels, err := p.labelsByName(ctx)
	if err != nil {
		return err
	}
	var errs []error
	check := func(kind, name string) {
		if found, there := labels[object{kind, name}]; there && !ours(found, cluster.Name) {
			errs = append(errs, clash(kind, name))
		}
	}
	check("network", cluster.Network.Name)
	for _, node := range cluster.Nodes {
		check("container", node.Name)
		for _, path := range boot.Volumes() {
			check("volume", volumeName(node.Name, path))
		}
	}
	if balancer := cluster.Balancer; balancer != nil {
		check("container", balancer.Name)
		check("volume", volumeName(balancer.Name, boot.StatePath))
	}
	return errors.Join(errs...)
}

// object is something of the engine that has a name.
type object struct {
	kind, name string
}

// labelsByName holds the labels of all of the engine's containers, volumes and networks.
func (p *Provider) labelsByName(ctx context.Context) (map[object]map[string]string, error) {
	containers, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, p.unreachable(err)
	}
	volumes, err := p.engine.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return nil, p.unreachable(err)
	}
	networks, err := p.engine.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, p.unreachable(err)
	}
	labels := map[object]map[string]string{}
	for _, container := range containers.Items {
		for _, name := range container.Names {
			labels[object{"container", strings.TrimPrefix(name, "/")}] = container.Labels
		}
	}
	for _, volume := range volumes.Items {
		labels[object{"volume", volume.Name}] = volume.Labels
	}
	for _, network := range networks.Items {
		labels[object{"network", network.Name}] = network.Labels
	}
	return labels, nil
}

// unreachable adds to an error of the engine's client what may be done where the engine did not answer at all.
func (p *Provider) unreachable(err error) error {
	err = fmt.Errorf("cannot ask the docker engine at %s: %w", p.host, err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return provision.WithHint(err, "run as root, or as a member of the group docker")
	case client.IsErrConnectionFailed(err):
		return provision.WithHint(err, "start the engine, or name another one with DOCKER_HOST or docker context use")
	default:
		return err
	}
}
