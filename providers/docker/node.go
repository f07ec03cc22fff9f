package docker

import (
	"context"
	"errors"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
)

// launchAttempts bounds how often a container is made anew: for a left-over, for --privileged, for every capability
// that an old engine may not know, and every makingInterval while the engine is still making it for a caller who died.
const launchAttempts = 100

// CreateNode makes the node's container with its volumes, and starts it. One of ours that runs is left alone; one that
// does not is made anew, as it may be half made, and its volumes are kept.
func (p *Provider) CreateNode(ctx context.Context, cluster provision.Cluster, node provision.Node, machineConfig []byte) error {
	isolated, err := p.isolationNow(ctx)
	if err != nil {
		return err
	}
	for range launchAttempts {
		pinned := node
		if pinned.Ports, err = p.pinned(ctx, node.Ports); err != nil {
			return err
		}
		err = p.launch(ctx, containerOf(cluster, pinned, machineConfig, isolated))
		if err == nil {
			return nil
		}
		if anyPort(node.Ports) && portTaken(err) {
			continue
		}
		if cerrdefs.IsConflict(err) {
			runs, err := p.clear(ctx, cluster.Name, node.Name)
			if runs || err != nil {
				return err
			}
			continue
		}
		if isolated, err = p.adapt(ctx, isolated, err); err != nil {
			return err
		}
	}
	return fmt.Errorf("cannot start container %q: tried %d ways", node.Name, launchAttempts)
}

// pinned are ports with those of the host chosen, where this host is the engine's and so can tell which are free.
func (p *Provider) pinned(ctx context.Context, ports []provision.Port) ([]provision.Port, error) {
	info, err := p.info(ctx)
	if err != nil || !p.local(info) {
		return ports, err
	}
	return pinPorts(ports)
}

// adapt finds the isolation to try after a launch failed, or gives the failure back.
func (p *Provider) adapt(ctx context.Context, tried isolation, failure error) (isolation, error) {
	if capability, unknown := unknownCapability(failure); unknown {
		return p.forget(ctx, capability)
	}
	if cannotPrivilege(failure) && len(tried.Capabilities) == 0 {
		return p.restrict(ctx)
	}
	return isolation{}, failure
}

// launch makes and starts a container. One that does not start is removed, its named volumes stay.
func (p *Provider) launch(ctx context.Context, options client.ContainerCreateOptions) error {
	created, err := p.engine.ContainerCreate(ctx, options)
	if err != nil {
		return fmt.Errorf("cannot make container: %w", err)
	}
	_, err = p.engine.ContainerStart(ctx, created.ID, client.ContainerStartOptions{})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("cannot start container: %w", err)
	// After Ctrl-C it is left for the next create or destroy: the engine may have started it after all.
	if ctx.Err() != nil {
		return err
	}
	return errors.Join(err, p.removeContainer(ctx, created.ID))
}

// clear makes room for a node whose name is in use. It removes a container of ours that does not run, tells whether
// there is one that does, and refuses to touch any other. Where none is seen, the engine is just making it.
func (p *Provider) clear(ctx context.Context, cluster, node string) (runs bool, err error) {
	found, err := p.engine.ContainerInspect(ctx, node, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return false, pause(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("cannot inspect container: %w", err)
	}
	if !ours(found.Container.Config.Labels, cluster) {
		return false, clash("container", node)
	}
	if found.Container.State.Status == container.StateRunning {
		return true, nil
	}
	return false, p.removeContainer(ctx, found.Container.ID)
}

func clash(kind, name string) error {
	err := fmt.Errorf("%s %q %w", kind, name, provision.ErrClash)
	return provision.WithHint(err, "remove it, or choose another name for the cluster")
}
