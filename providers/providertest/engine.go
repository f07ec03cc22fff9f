package providertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

var _ reconcile.Engine = (*Memory)(nil)

// Machine finds a machine by its ID.
func (m *Memory) Machine(ctx context.Context, id string) (machine provision.Machine, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id == "" {
		return provision.Machine{}, false, errors.New("cannot look for a machine without its ID")
	}
	if err := m.answers(ctx); err != nil {
		return provision.Machine{}, false, err
	}
	machine, found = m.withID(id)
	return machine, found, nil
}

func (m *Memory) withID(id string) (machine provision.Machine, found bool) {
	for _, machine := range m.machines {
		if machine.ID == id {
			return machine, true
		}
	}
	return provision.Machine{}, false
}

// Inspect tells what a machine was made with.
func (m *Memory) Inspect(ctx context.Context, machine provision.Machine) (provision.Node, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.answers(ctx); err != nil {
		return provision.Node{}, nil, err
	}
	found, there := m.withID(machine.ID)
	if !there {
		return provision.Node{}, nil, fmt.Errorf("cannot inspect machine %q: it is gone", machine.Name)
	}
	with := m.made[machine.ID]
	node := with.node
	node.Name = found.Name
	return node, with.config, nil
}

// watcher is told of a cluster's changes; several at once are one.
type watcher struct {
	cluster string
	told    chan struct{}
}

// tell is called, with mu held, after every change of a machine.
func (m *Memory) tell(cluster string) {
	for w := range m.watchers {
		if w.cluster != cluster && w.cluster != "" {
			continue
		}
		select {
		case w.told <- struct{}{}:
		default:
		}
	}
}

// Watch ends with ctx, or when the engine falls silent.
func (m *Memory) Watch(ctx context.Context, cluster string, heard func()) error {
	w, silent, err := m.watch(ctx, cluster)
	if err != nil {
		return err
	}
	defer m.unwatch(w)
	heard()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-silent:
			return errSilent
		case <-w.told:
			heard()
		}
	}
}

// watch also gives the channel that is closed when the engine falls silent.
func (m *Memory) watch(ctx context.Context, cluster string) (*watcher, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.answers(ctx); err != nil {
		return nil, nil, err
	}
	w := &watcher{cluster: cluster, told: make(chan struct{}, 1)}
	m.watchers[w] = true
	return w, m.silence, nil
}

func (m *Memory) unwatch(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers, w)
}
