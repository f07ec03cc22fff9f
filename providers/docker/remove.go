package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/provision"
)

const (
	// removals is how many objects are removed side by side.
	removals = 8
	// releaseAttempts bounds the waiting for a volume of a container that the engine has just removed, every
	// makingInterval.
	releaseAttempts = 100
)

// Remove kills the containers, then removes their volumes, then the networks. What is gone already is no error.
func (p *Provider) Remove(ctx context.Context, observed provision.Observed) error {
	if err := forEach(ctx, slices.Concat(observed.Machines, observed.Balancers), p.removeMachine); err != nil {
		return err
	}
	if err := forEach(ctx, observed.Volumes, p.removeReleased); err != nil {
		return err
	}
	return forEach(ctx, observed.Networks, p.removeNetwork)
}

func forEach[T any](ctx context.Context, items []T, act func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(removals)
	for _, item := range items {
		group.Go(func() error { return act(ctx, item) })
	}
	return group.Wait()
}

func (p *Provider) removeMachine(ctx context.Context, machine provision.Machine) error {
	return p.removeContainer(ctx, machine.ID)
}

// removeContainer kills, as a cluster that is destroyed has nothing left to save, and takes anonymous volumes along:
// a node that was made by hand has those.
func (p *Provider) removeContainer(ctx context.Context, id string) error {
	_, err := p.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || cerrdefs.IsNotFound(err) {
		return nil
	}
	// Another process removes it already: wait until that is done, so that its volumes are free.
	if cerrdefs.IsConflict(err) {
		return p.awaitRemoval(ctx, id)
	}
	return fmt.Errorf("cannot remove container %s: %w", id, err)
}

// removeReleased waits for a volume that is in use for as long as that may be by a container that is gone already: the
// engine forgets a container first and lets go of its volumes then.
func (p *Provider) removeReleased(ctx context.Context, volume provision.Volume) error {
	var err error
	for range releaseAttempts {
		err = p.removeVolume(ctx, volume)
		if !cerrdefs.IsConflict(err) {
			return err
		}
		if used, asked := p.inUse(ctx, volume.Name); used || asked != nil {
			return errors.Join(err, asked)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return err
}

// inUse tells whether a container that the engine shows has the volume.
func (p *Provider) inUse(ctx context.Context, volume string) (bool, error) {
	filters := client.Filters{}.Add("volume", volume)
	listed, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return false, p.unreachable(err)
	}
	return len(listed.Items) > 0, nil
}

func (p *Provider) removeVolume(ctx context.Context, volume provision.Volume) error {
	_, err := p.engine.VolumeRemove(ctx, volume.Name, client.VolumeRemoveOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("cannot remove volume %q: %w", volume.Name, err)
	}
	return nil
}

func (p *Provider) removeNetwork(ctx context.Context, network provision.ObservedNetwork) error {
	_, err := p.engine.NetworkRemove(ctx, network.ID, client.NetworkRemoveOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return provision.WithHint(fmt.Errorf("cannot remove network %q: %w", network.Name, err),
			"a container that is not of the cluster may be on it: docker network inspect "+network.Name)
	}
	return nil
}

// awaitRemoval ends when a removal that was begun elsewhere has.
func (p *Provider) awaitRemoval(ctx context.Context, id string) error {
	waiting := p.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	select {
	case <-waiting.Result:
		return nil
	case err := <-waiting.Error:
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("cannot wait for the removal of container %s: %w", id, err)
	}
}
