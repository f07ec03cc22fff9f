package docker

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

const (
	// partitionTable is the table of the node's packet filter that cuts it off.
	partitionTable = "inet bronze_partition"
	// clusterLink is what the engine calls a container's first network interface.
	clusterLink = "eth0"
)

// Vanish is docker rm --force. That alone leaves volumes with names; those of the node go too where they are to be lost.
func (p *Provider) Vanish(ctx context.Context, machine provision.Machine, withVolumes bool) error {
	_, err := p.engine.ContainerRemove(ctx, machine.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: withVolumes})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("cannot remove container %q: %w", machine.Name, err)
	}
	if !withVolumes {
		return nil
	}
	filters := filterBy(machine.Cluster).Add("label", boot.LabelNode+"="+machine.Name)
	listed, err := p.engine.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	if err != nil {
		return p.unreachable(err)
	}
	return forEach(ctx, each(listed.Items, volumeOf), p.removeReleased)
}

// Partition sets the node's own packet filter. docker network disconnect would take the interface away, and with it the
// routes and the address that the node's programs hold on to: a fault that no network has.
func (p *Provider) Partition(ctx context.Context, machine provision.Machine, apart bool) error {
	command := []string{boot.FirewallPath, strings.Join(partitionRules(apart), "; ")}
	if err := p.execute(ctx, machine.ID, command); err != nil {
		return fmt.Errorf("cannot set the packet filter of %q: %w", machine.Name, err)
	}
	return nil
}

// partitionRules first take away what an earlier partition left, whether there was one or not. They come before all other
// rules, so that an answer of the node's own filter does not get out either.
func partitionRules(apart bool) []string {
	rules := []string{"add table " + partitionTable, "delete table " + partitionTable}
	if !apart {
		return rules
	}
	return append(rules,
		"add table "+partitionTable,
		"add chain "+partitionTable+" in { type filter hook prerouting priority raw; }",
		"add rule "+partitionTable+" in iifname "+clusterLink+" drop",
		"add chain "+partitionTable+" out { type filter hook postrouting priority raw; }",
		"add rule "+partitionTable+" out oifname "+clusterLink+" drop",
	)
}

// Kill lets the node's own program do it: the processes of another host's engine are out of reach.
func (p *Provider) Kill(ctx context.Context, machine provision.Machine, service string) error {
	if err := p.execute(ctx, machine.ID, []string{boot.InitPath, boot.KillCommand, service}); err != nil {
		return fmt.Errorf("cannot kill %s of %q: %w", service, machine.Name, err)
	}
	return nil
}
