package docker

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// Observe finds by labels what the engine has of the cluster, or of all clusters, sorted by name.
func (p *Provider) Observe(ctx context.Context, cluster string) (provision.Observed, error) {
	observed := provision.Observed{Machines: []provision.Machine{}}
	group, ctx := errgroup.WithContext(ctx)
	filters := filterBy(cluster)
	group.Go(func() error {
		listed, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
		for _, machine := range each(listed.Items, machineOf) {
			if machine.Role == provision.RoleBalancer {
				observed.Balancers = append(observed.Balancers, machine)
				continue
			}
			observed.Machines = append(observed.Machines, machine)
		}
		return err
	})
	group.Go(func() error {
		listed, err := p.engine.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
		observed.Volumes = each(listed.Items, volumeOf)
		return err
	})
	group.Go(func() error {
		listed, err := p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
		observed.Networks = each(listed.Items, networkSeen)
		return err
	})
	if err := group.Wait(); err != nil {
		return provision.Observed{}, p.unreachable(err)
	}
	sortAll(observed)
	return observed, nil
}

func each[From, To any](items []From, convert func(From) To) []To {
	converted := make([]To, 0, len(items))
	for _, item := range items {
		converted = append(converted, convert(item))
	}
	return converted
}

func sortAll(observed provision.Observed) {
	slices.SortFunc(observed.Machines, func(a, b provision.Machine) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(observed.Balancers, func(a, b provision.Machine) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(observed.Volumes, func(a, b provision.Volume) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(observed.Networks, func(a, b provision.ObservedNetwork) int { return cmp.Compare(a.Name, b.Name) })
}

func machineOf(summary container.Summary) provision.Machine {
	machine := provision.Machine{
		ID:      summary.ID,
		Cluster: summary.Labels[boot.LabelClusterName],
		Role:    provision.Role(summary.Labels[boot.LabelType]),
		State:   stateOf(summary.State),
		Image:   summary.Image,
		Ports:   portsSeen(summary),
		Created: time.Unix(summary.Created, 0).UTC(),
	}
	if len(summary.Names) > 0 {
		machine.Name = strings.TrimPrefix(summary.Names[0], "/")
	}
	if summary.NetworkSettings != nil {
		machine.IP = addressOn(summary.NetworkSettings.Networks[machine.Cluster])
	}
	return machine
}

// addressOn is the address that a container has or, where it does not run, is to have.
func addressOn(settings *network.EndpointSettings) netip.Addr {
	switch {
	case settings == nil:
		return netip.Addr{}
	case settings.IPAddress.IsValid():
		return settings.IPAddress
	case settings.IPAMConfig != nil:
		return settings.IPAMConfig.IPv4Address
	default:
		return netip.Addr{}
	}
}

func stateOf(state container.ContainerState) provision.MachineState {
	switch state {
	case container.StateRunning:
		return provision.MachineRunning
	case container.StateCreated:
		return provision.MachineCreated
	case container.StatePaused:
		return provision.MachinePaused
	case container.StateRestarting:
		return provision.MachineRestarting
	default:
		return provision.MachineStopped
	}
}

func volumeOf(found volume.Volume) provision.Volume {
	seen := provision.Volume{
		Name:    found.Name,
		Cluster: found.Labels[boot.LabelClusterName],
		Node:    found.Labels[boot.LabelNode],
		Path:    found.Labels[boot.LabelVolume],
	}
	// Old engines do not tell.
	if created, err := time.Parse(time.RFC3339, found.CreatedAt); err == nil {
		seen.Created = created.UTC()
	}
	return seen
}

func networkSeen(found network.Summary) provision.ObservedNetwork {
	seen := provision.ObservedNetwork{
		ID:      found.ID,
		Network: provision.Network{Name: found.Name},
		Cluster: found.Labels[boot.LabelClusterName],
		Created: found.Created.UTC(),
	}
	if len(found.IPAM.Config) > 0 {
		seen.Subnet = found.IPAM.Config[0].Subnet
	}
	// A network that was made without the option has the engine's default, which is not told.
	if mtu, err := strconv.Atoi(found.Options[mtuOption]); err == nil {
		seen.MTU = mtu
	}
	return seen
}
