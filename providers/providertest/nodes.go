package providertest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/backup/backuptest"
	"github.com/bronze-os/bronze/provision/picture"
)

// Interview tells what the node knows.
func (m machines) Interview(ctx context.Context, node provision.Node) picture.Interview {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil {
		return picture.Interview{Error: err.Error()}
	}
	interview := picture.Interview{
		NodeID:     m.engine.disk(machine, boot.StatePath).nodeID,
		Affiliates: m.engine.affiliatesOf(m.cluster.Name),
	}
	for _, affiliate := range interview.Affiliates {
		interview.Members = append(interview.Members, affiliate.Nodename)
	}
	slices.Sort(interview.Members)
	if machine.Role != provision.ControlPlane {
		return interview
	}
	if interview.Etcd, err = m.engine.answer(machine); err != nil {
		interview.EtcdError = err.Error()
	}
	return interview
}

// MachineConfig is what the node keeps in its STATE volume.
func (m machines) MachineConfig(ctx context.Context, node provision.Node) ([]byte, error) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil {
		return nil, err
	}
	return slices.Clone(m.engine.disk(machine, boot.StatePath).config), nil
}

// etcdOf is the etcd of which the node is a member, which has a majority.
func (m machines) etcdOf(ctx context.Context, node provision.Node) (*seat, error) {
	machine, err := m.ask(ctx, node)
	if err != nil {
		return nil, err
	}
	seat := m.engine.seatOf(machine)
	switch {
	case seat == nil:
		return nil, fmt.Errorf("%q is no member of etcd", node.Name)
	case !m.engine.quorate(seat.etcd):
		return nil, errNoLeader
	}
	return seat, nil
}

// LeaveEtcd is an effect, but for a node that has left.
func (m machines) LeaveEtcd(ctx context.Context, node provision.Node) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil {
		return err
	}
	if old := m.engine.disk(machine, boot.EphemeralPath).seat; old != nil && old.left {
		return nil
	}
	seat, err := m.etcdOf(ctx, node)
	if err != nil {
		return err
	}
	if err := m.strike(ctx, seat.etcd, seat.id); err != nil {
		return err
	}
	seat.left = true
	return nil
}

// RemoveMember is an effect, but for a member that is none.
func (m machines) RemoveMember(ctx context.Context, via provision.Node, id uint64) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	seat, err := m.etcdOf(ctx, via)
	if err != nil {
		return err
	}
	if _, is := seat.etcd.member(id); !is {
		return nil
	}
	return m.strike(ctx, seat.etcd, id)
}

func (m machines) strike(ctx context.Context, e *etcd, id uint64) error {
	if err := m.engine.removable(e, id); err != nil {
		return err
	}
	if err := m.engine.ordered(ctx); err != nil {
		return err
	}
	e.strike(id)
	return nil
}

// Snapshot writes what the member has, as etcd does: a database, then its SHA-256.
func (m machines) Snapshot(ctx context.Context, via provision.Node, w io.Writer) error {
	data, err := m.snapshot(ctx, via)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func (m machines) snapshot(ctx context.Context, via provision.Node) ([]byte, error) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, via)
	if err != nil {
		return nil, err
	}
	seat := m.engine.seatOf(machine)
	if seat == nil {
		return nil, errors.New("etcd does not run")
	}
	var changes []backuptest.Change
	for _, name := range slices.Sorted(maps.Keys(seat.etcd.nodes)) {
		changes = append(changes, backuptest.Change{Key: "/registry/minions/" + name})
	}
	data, err := backuptest.Snapshot(1, changes)
	if err == nil {
		m.engine.snapshots[sha256.Sum256(data)] = maps.Clone(seat.etcd.nodes)
	}
	return data, err
}

// FoundEtcd is an effect, but on a node that is in an etcd. Only a snapshot that was taken from this engine is one.
func (m machines) FoundEtcd(ctx context.Context, node provision.Node, snapshot io.Reader) error {
	data, err := io.ReadAll(snapshot)
	if err != nil {
		return err
	}
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil || m.engine.disk(machine, boot.EphemeralPath).seat != nil {
		return err
	}
	kept, is := m.engine.snapshots[sha256.Sum256(data)]
	if !is || m.engine.serving(m.cluster.Name) != nil {
		return fmt.Errorf("cannot found etcd on %q: %w", node.Name, provision.ErrHopeless)
	}
	if err := m.engine.ordered(ctx); err != nil {
		return err
	}
	m.engine.found(machine)
	for name, node := range kept {
		if nodes := m.engine.seatOf(machine).etcd.nodes; nodes[name].UID == "" {
			nodes[name] = node
		}
	}
	return nil
}

// ForgetAffiliate deletes at every discovery server that runs: an effect, where any knows it.
func (m machines) ForgetAffiliate(ctx context.Context, via provision.Node, nodeID string) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	if _, err := m.ask(ctx, via); err != nil {
		return err
	}
	known := slices.ContainsFunc(m.engine.affiliatesOf(m.cluster.Name), func(a picture.Affiliate) bool { return a.NodeID == nodeID })
	if !known {
		return nil
	}
	if err := m.engine.ordered(ctx); err != nil {
		return err
	}
	for _, server := range m.engine.controlPlanesOf(m.cluster.Name) {
		delete(m.engine.heard[server.ID], nodeID)
	}
	return nil
}
