package providertest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// LastWords are the same of every machine.
func (m *Memory) LastWords(ctx context.Context, node string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return node + ": terminated", m.answers(ctx)
}

// Turn changes the state of a machine: an effect. Ports are listened on while it runs only, and stay its own.
func (m *Memory) Turn(ctx context.Context, machine provision.Machine, to provision.MachineState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, there := m.withID(machine.ID)
	switch {
	case !there:
		return fmt.Errorf("cannot find machine %q", machine.Name)
	case found.State == to:
		return m.answers(ctx)
	case to == provision.MachinePaused && found.State != provision.MachineRunning:
		return fmt.Errorf("cannot pause machine %q: it is %s", machine.Name, found.State)
	}
	if err := m.change(ctx); err != nil {
		return err
	}
	switch {
	case to == provision.MachineRunning && found.State != provision.MachinePaused:
		m.start(found)
	case to == provision.MachineStopped:
		m.stop(found)
	default:
		found.State = to
		m.machines[found.Name] = found
		m.tell(found.Cluster)
	}
	return nil
}

// stop ends a machine. Nobody listens on its ports any more, and they stay its own.
func (m *Memory) stop(machine provision.Machine) {
	machine.State, machine.Ports = provision.MachineStopped, nil
	m.machines[machine.Name] = machine
	m.tell(machine.Cluster)
}

// What follows is done to an engine by other hands than Bronze's.

// Stop ends a machine, as docker kill does.
func (m *Memory) Stop(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if machine, there := m.machines[name]; there {
		m.stop(machine)
	}
}

// Vanish removes a machine, as docker rm --force does, and where volumes is true the node's volumes with it.
func (m *Memory) Vanish(name string, volumes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	machine, there := m.machines[name]
	if !there {
		return
	}
	home := m.made[machine.ID].home
	m.drop(machine)
	for _, path := range boot.Volumes() {
		if volumes {
			delete(m.volumes, volumeName(home, path))
			delete(m.disks, volumeName(home, path))
		}
	}
}

// Rename gives a machine another name, as docker rename does. The node keeps its own.
func (m *Memory) Rename(name, to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	machine, there := m.machines[name]
	if !there {
		return
	}
	delete(m.machines, name)
	machine.Name = to
	m.machines[to] = machine
	m.tell(machine.Cluster)
}

// Silence lets the engine not answer any more, or again. Its machines go on.
func (m *Memory) Silence(silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case silent && !m.silent:
		close(m.silence)
	case !silent && m.silent:
		m.silence = make(chan struct{})
	}
	m.silent = silent
}

// Lapse lets time pass for whoever does not report any more: Kubernetes calls nodes not Ready that are not heard of for
// more than 40 s, and discovery forgets affiliates after 30 minutes.
func (m *Memory) Lapse(time time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age(time)
}

// RunByHand makes a machine with a cluster's labels, as docker run does: with volumes that have no names, and at the next
// address that is free on the cluster's network.
func (m *Memory) RunByHand(cluster, name string, role provision.Role, machineConfig []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	machine := provision.Machine{
		ID: m.id(), Name: name, Cluster: cluster, Role: role, IP: m.freeAddress(cluster), Image: m.images[0],
	}
	node := provision.Node{Name: name, Role: role, IP: machine.IP}
	m.machines[name], m.made[machine.ID] = machine, made{node: node, config: machineConfig, home: machine.ID}
	m.start(machine)
}

// freeAddress is the first on the cluster's network, after the gateway, that no machine has.
func (m *Memory) freeAddress(cluster string) netip.Addr {
	taken := map[netip.Addr]bool{}
	for _, machine := range m.machines {
		taken[machine.IP] = true
	}
	address := m.networks[cluster].Gateway().Next()
	for taken[address] {
		address = address.Next()
	}
	return address
}

// Reconfigure changes a node's machine config by its machine API.
func (m *Memory) Reconfigure(name string, machineConfig []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk(m.machines[name], boot.StatePath).config = slices.Clone(machineConfig)
}

// Backends are where the named balancer carries to.
func (m *Memory) Backends(balancer string) []netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.backends[balancer])
}

// AddImage gives the engine an image more. Nodes of one that is broken never become Ready.
func (m *Memory) AddImage(image string, broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images = append(m.images, image)
	if broken {
		m.broken = image
	}
}

// Config is the machine config that a node was made with.
func (m *Memory) Config(node string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.configs[node])
}

// Cordoned tells whether the node takes no pods.
func (m *Memory) Cordoned(node string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.etcds() {
		if e.nodes[node].Unschedulable {
			return true
		}
	}
	return false
}

// AddForeign makes a container, volume or network that is nobody's cluster's.
func (m *Memory) AddForeign(kind, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch kind {
	case KindContainer:
		m.machines[name] = provision.Machine{ID: m.id(), Name: name, State: provision.MachineRunning}
	case KindVolume:
		m.volumes[name] = provision.Volume{Name: name}
	case KindNetwork:
		m.networks[name] = provision.ObservedNetwork{ID: m.id(), Network: provision.Network{Name: name}}
	}
}

// HasForeign tells whether such an object is still there.
func (m *Memory) HasForeign(kind, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	there := false
	switch kind {
	case KindContainer:
		_, there = m.machines[name]
	case KindVolume:
		_, there = m.volumes[name]
	case KindNetwork:
		_, there = m.networks[name]
	}
	return there
}
