package providertest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// CreateNetwork makes the network, where no other overlaps it.
func (m *Memory) CreateNetwork(ctx context.Context, cluster provision.Cluster) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := cluster.Network
	if found, there := m.networks[wanted.Name]; there {
		if found.Cluster != cluster.Name || found.Subnet != wanted.Subnet {
			return clash(KindNetwork, wanted.Name)
		}
		return m.alive(ctx)
	}
	for _, other := range m.networks {
		if other.Subnet.Overlaps(wanted.Subnet) {
			return fmt.Errorf("subnet %s is %w by %q", wanted.Subnet, provision.ErrSubnetTaken, other.Name)
		}
	}
	if err := m.effect(ctx); err != nil {
		return err
	}
	m.networks[wanted.Name] = provision.ObservedNetwork{ID: m.id(), Network: wanted, Cluster: cluster.Name}
	return nil
}

// CreateNode makes the volumes, then the machine, then starts it: an effect each.
func (m *Memory) CreateNode(ctx context.Context, cluster provision.Cluster, node provision.Node, _ []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, there := m.machines[node.Name]
	switch {
	case there && found.Cluster != cluster.Name:
		return clash(KindContainer, node.Name)
	case there && found.State == provision.MachineRunning:
		return m.alive(ctx)
	}
	if _, there := m.networks[cluster.Network.Name]; !there {
		return fmt.Errorf("cannot find network %q", cluster.Network.Name)
	}
	if err := m.makeVolumes(ctx, cluster.Name, node.Name); err != nil {
		return err
	}
	if err := m.effect(ctx); err != nil {
		return err
	}
	machine := provision.Machine{
		ID: m.id(), Name: node.Name, Cluster: cluster.Name, Role: node.Role,
		State: provision.MachineCreated, IP: node.IP, Image: cluster.Image,
	}
	m.machines[node.Name] = machine
	if err := m.effect(ctx); err != nil {
		return err
	}
	machine.State, machine.Ports = provision.MachineRunning, m.listen(node.Ports)
	m.machines[node.Name] = machine
	return nil
}

func (m *Memory) makeVolumes(ctx context.Context, cluster, node string) error {
	for _, path := range boot.Volumes() {
		name := volumeName(node, path)
		if _, there := m.volumes[name]; there {
			continue
		}
		if err := m.effect(ctx); err != nil {
			return err
		}
		m.volumes[name] = provision.Volume{Name: name, Cluster: cluster, Node: node, Path: path}
	}
	return nil
}

func volumeName(node, path string) string {
	return node + strings.ReplaceAll(path, "/", "-")
}

// listen gives every port that may be any a number of its own.
func (m *Memory) listen(ports []provision.Port) []provision.Port {
	listening := slices.Clone(ports)
	for i := range listening {
		if listening[i].Host == 0 {
			m.serial++
			listening[i].Host = uint16(firstPort + m.serial)
		}
	}
	return listening
}

func (m *Memory) id() string {
	m.serial++
	return fmt.Sprintf("id-%d", m.serial)
}
