package providertest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bronze-os/bronze/provision"
)

// LastWords are the same of every machine.
func (m *Memory) LastWords(ctx context.Context, node string) (string, error) {
	return node + ": terminated", ctx.Err()
}

// Turn changes the state of a machine: an effect. Ports are listened on while it runs only, and stay its own.
func (m *Memory) Turn(ctx context.Context, machine provision.Machine, to provision.MachineState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, there := m.machines[machine.Name]
	switch {
	case !there || found.ID != machine.ID:
		return fmt.Errorf("cannot find machine %q", machine.Name)
	case found.State == to:
		return m.alive(ctx)
	case to == provision.MachinePaused && found.State != provision.MachineRunning:
		return fmt.Errorf("cannot pause machine %q: it is %s", machine.Name, found.State)
	}
	if err := m.effect(ctx); err != nil {
		return err
	}
	found.State, found.Ports = to, nil
	if to != provision.MachineStopped {
		found.Ports = m.pinned[found.ID]
	}
	m.machines[machine.Name] = found
	return nil
}

// What follows is done to an engine by other hands than Bronze's.

// Stop ends a machine, as docker kill does.
func (m *Memory) Stop(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	machine, there := m.machines[name]
	if there {
		machine.State, machine.Ports = provision.MachineStopped, nil
		m.machines[name] = machine
	}
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
	return m.cordoned[node]
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
