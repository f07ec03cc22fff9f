package docker

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

const (
	// balancerMemory is in bytes: some ten times what the balancer was seen to use.
	balancerMemory = 128 * bytesPerMiB
	// balancerStopTimeout is in seconds.
	balancerStopTimeout = 2
)

// balancerOf is the container of a cluster's balancer: the node image with another program, and without any right that
// a TCP proxy on high ports can do without.
func balancerOf(cluster provision.Cluster) client.ContainerCreateOptions {
	balancer := *cluster.Balancer
	exposed, bindings := portsOf(balancer.Ports)
	timeout := balancerStopTimeout
	return client.ContainerCreateOptions{
		Name: balancer.Name,
		Config: &container.Config{
			Hostname:     balancer.Name,
			Image:        cluster.Image,
			Entrypoint:   []string{boot.BalancerPath, "serve"},
			Cmd:          backendsOf(cluster),
			Labels:       nodeLabels(cluster.Name, provision.RoleBalancer),
			ExposedPorts: exposed,
			StopTimeout:  &timeout,
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    container.NetworkMode(cluster.Network.Name),
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			PortBindings:   bindings,
			RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
			Mounts: []mount.Mount{{
				Type:          mount.TypeVolume,
				Source:        volumeName(balancer.Name, boot.StatePath),
				Target:        boot.StatePath,
				VolumeOptions: &mount.VolumeOptions{Labels: volumeLabels(cluster.Name, balancer.Name, boot.StatePath)},
			}},
			Resources: container.Resources{Memory: balancerMemory},
		},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			cluster.Network.Name: {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: balancer.IP}},
		}},
	}
}

// backendsOf are the addresses of the control planes.
func backendsOf(cluster provision.Cluster) []string {
	var backends []string
	for _, node := range cluster.ControlPlanes() {
		backends = append(backends, node.IP.String())
	}
	return backends
}

// CreateBalancer makes the balancer's container and starts it. One of ours that runs is told its backends; one that does
// not is made anew, without the backends that it kept.
func (p *Provider) CreateBalancer(ctx context.Context, cluster provision.Cluster) error {
	name := cluster.Balancer.Name
	for range launchAttempts {
		if err := p.forgetBackends(ctx, name); err != nil {
			return err
		}
		pinned, err := p.pinned(ctx, cluster.Balancer.Ports)
		if err != nil {
			return err
		}
		balancer := *cluster.Balancer
		balancer.Ports, cluster.Balancer = pinned, &balancer
		err = p.launch(ctx, balancerOf(cluster))
		switch {
		case err == nil:
			return nil
		case cerrdefs.IsConflict(err):
			runs, err := p.clear(ctx, cluster.Name, name)
			if err != nil {
				return err
			}
			if runs {
				return p.setBackends(ctx, name, backendsOf(cluster))
			}
		case !portTaken(err):
			return err
		}
	}
	return fmt.Errorf("cannot start container %q: tried %d times", name, launchAttempts)
}

// forgetBackends removes what a balancer that is gone kept. A volume in use is one that is not gone.
func (p *Provider) forgetBackends(ctx context.Context, name string) error {
	err := p.removeVolume(ctx, provision.Volume{Name: volumeName(name, boot.StatePath)})
	if cerrdefs.IsConflict(err) {
		return nil
	}
	return err
}

// setBackends runs the balancer's own program in its container.
func (p *Provider) setBackends(ctx context.Context, name string, backends []string) error {
	command := append([]string{boot.BalancerPath, "set"}, backends...)
	if err := p.execute(ctx, name, command); err != nil {
		return fmt.Errorf("setting the backends of %q: %w", name, err)
	}
	return nil
}

// execute runs a command in a container and waits for its end. What it printed is in the error where it failed.
func (p *Provider) execute(ctx context.Context, name string, command []string) error {
	created, err := p.engine.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return fmt.Errorf("cannot prepare %s: %w", command[0], err)
	}
	attached, err := p.engine.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", command[0], err)
	}
	defer attached.Close()
	// The engine's connection knows nothing of ctx once it is there.
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	var printed bytes.Buffer
	if _, err := stdcopy.StdCopy(&printed, &printed, attached.Reader); err != nil {
		return fmt.Errorf("cannot hear of %s: %w", command[0], err)
	}
	ended, err := p.engine.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
	if err != nil {
		return fmt.Errorf("cannot tell how %s ended: %w", command[0], err)
	}
	if ended.ExitCode != 0 {
		return fmt.Errorf("%s ended with code %d: %s", command[0], ended.ExitCode, strings.TrimSpace(printed.String()))
	}
	return nil
}
