package providertest

import (
	"context"
	"fmt"
	"net/netip"
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
		return m.answers(ctx)
	}
	for _, other := range m.networks {
		if other.Subnet.Overlaps(wanted.Subnet) {
			return fmt.Errorf("subnet %s is %w by %q", wanted.Subnet, provision.ErrSubnetTaken, other.Name)
		}
	}
	if err := m.change(ctx); err != nil {
		return err
	}
	m.networks[wanted.Name] = provision.ObservedNetwork{ID: m.id(), Network: wanted, Cluster: cluster.Name}
	return nil
}

// CreateNode makes the volumes, then the machine, then starts it: an effect each.
func (m *Memory) CreateNode(ctx context.Context, cluster provision.Cluster, node provision.Node, machineConfig []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, there := m.machines[node.Name]
	switch {
	case there && found.Cluster != cluster.Name:
		return clash(KindContainer, node.Name)
	case there && found.State == provision.MachineRunning:
		return m.answers(ctx)
	}
	if _, there := m.networks[cluster.Network.Name]; !there {
		return fmt.Errorf("cannot find network %q", cluster.Network.Name)
	}
	if err := m.makeVolumes(ctx, cluster.Name, node.Name); err != nil {
		return err
	}
	m.configs[node.Name] = machineConfig
	machine := provision.Machine{Name: node.Name, Role: node.Role, IP: node.IP, Image: cluster.ImageOf(node)}
	return m.launch(ctx, cluster, machine, made{node: node, config: machineConfig, home: node.Name})
}

// CreateBalancer makes the machine with its backends, then starts it, or tells one that runs its backends: an effect each.
func (m *Memory) CreateBalancer(ctx context.Context, cluster provision.Cluster) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	balancer := *cluster.Balancer
	found, there := m.machines[balancer.Name]
	if there && found.Cluster != cluster.Name {
		return clash(KindContainer, balancer.Name)
	}
	var backends []netip.Addr
	for _, node := range cluster.ControlPlanes() {
		backends = append(backends, node.IP)
	}
	if there && found.State == provision.MachineRunning {
		if err := m.change(ctx); err != nil {
			return err
		}
		m.backends[balancer.Name] = backends
		return nil
	}
	machine := provision.Machine{Name: balancer.Name, Role: provision.RoleBalancer, IP: balancer.IP, Image: cluster.Image}
	return m.launch(ctx, cluster, machine, made{node: provision.Node{Ports: balancer.Ports}, backends: backends})
}

// launch makes a machine in place of any of its name, and starts it.
func (m *Memory) launch(ctx context.Context, cluster provision.Cluster, machine provision.Machine, with made) error {
	if _, there := m.networks[cluster.Network.Name]; !there {
		return fmt.Errorf("cannot find network %q", cluster.Network.Name)
	}
	if err := m.change(ctx); err != nil {
		return err
	}
	if old, there := m.machines[machine.Name]; there {
		m.drop(old)
	}
	machine.ID, machine.Cluster = m.id(), cluster.Name
	machine.State = provision.MachineCreated
	with.node.Name, with.node.Role, with.node.IP = machine.Name, machine.Role, machine.IP
	m.machines[machine.Name], m.made[machine.ID] = machine, with
	m.backends[machine.Name] = with.backends
	m.tell(cluster.Name)
	if err := m.change(ctx); err != nil {
		return err
	}
	m.start(machine)
	return nil
}

// start lets a machine run. Its ports of the host are its own from the first time on.
func (m *Memory) start(machine provision.Machine) {
	with := m.made[machine.ID]
	with.node.Ports = m.listen(with.node.Ports)
	with.deregistered = false
	machine.State, machine.Ports = provision.MachineRunning, with.node.Ports
	m.machines[machine.Name], m.made[machine.ID] = machine, with
	if machine.Role != provision.RoleBalancer {
		m.wake(machine)
	}
	m.tell(machine.Cluster)
}

func (m *Memory) makeVolumes(ctx context.Context, cluster, node string) error {
	for _, path := range boot.Volumes() {
		name := volumeName(node, path)
		if _, there := m.volumes[name]; there {
			continue
		}
		if err := m.change(ctx); err != nil {
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
