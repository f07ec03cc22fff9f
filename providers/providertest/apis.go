package providertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// APIs are the machine API and the Kubernetes API of every cluster in a Memory: nodes answer while their machine runs, the
// cluster's balancer does, and that carries to a control plane that runs. It is what provision asks for; Reconciling is
// the same for reconcile.
type APIs struct {
	Engine *Memory
}

// Reconciling opens the same APIs with all that reconciling needs.
type Reconciling struct {
	Engine *Memory
}

var (
	_ provision.Connector = APIs{}
	_ reconcile.Connector = Reconciling{}
)

// Machines opens the machine API.
func (a APIs) Machines(access provision.Access) (provision.Machines, error) {
	return machines{engine: a.Engine, cluster: access.Cluster}, nil
}

// Kubernetes opens the Kubernetes API.
func (a APIs) Kubernetes(access provision.Access) (provision.Kubernetes, error) {
	return kubernetes{engine: a.Engine, cluster: access.Cluster}, nil
}

// Nodes opens the machine API.
func (r Reconciling) Nodes(access provision.Access) (reconcile.Nodes, error) {
	return machines{engine: r.Engine, cluster: access.Cluster}, nil
}

// Kubernetes opens the Kubernetes API.
func (r Reconciling) Kubernetes(access provision.Access) (reconcile.Kubernetes, error) {
	return kubernetes{engine: r.Engine, cluster: access.Cluster}, nil
}

type machines struct {
	engine  *Memory
	cluster provision.Cluster
}

// ask is what every call begins with: it finds the node's machine, by its address, and lets the cluster settle. The
// caller holds the engine's mu.
func (m machines) ask(ctx context.Context, node provision.Node) (provision.Machine, error) {
	if err := m.engine.alive(ctx); err != nil {
		return provision.Machine{}, hopeless(err)
	}
	if err := m.engine.gate(m.cluster); err != nil {
		return provision.Machine{}, err
	}
	m.engine.settle(m.cluster.Name)
	for _, machine := range m.engine.nodesOf(m.cluster.Name) {
		if machine.IP == node.IP {
			return machine, nil
		}
	}
	return provision.Machine{}, errRefused(node.Name)
}

// gate is nil where a control plane is reached: the balancer's, or the founder where there is none.
func (m *Memory) gate(cluster provision.Cluster) error {
	if cluster.Balancer != nil && m.machines[cluster.Balancer.Name].State != provision.MachineRunning {
		return errRefused(cluster.Balancer.Name)
	}
	for _, machine := range m.controlPlanesOf(cluster.Name) {
		if cluster.Balancer == nil && machine.IP == cluster.Founder().IP || m.backed(cluster, machine.IP) {
			return nil
		}
	}
	return errRefused("a control plane")
}

// hopeless is the answer to a caller who is dead: it must not go on asking. One whose time is over is not dead.
func hopeless(err error) error {
	if !errors.Is(err, ErrCrashed) {
		return err
	}
	return fmt.Errorf("%w: %w", provision.ErrHopeless, err)
}

// ordered comes before a change that a caller asks of the cluster itself.
func (m *Memory) ordered(ctx context.Context) error {
	if err := m.effect(ctx); err != nil {
		return hopeless(err)
	}
	return nil
}

// Bootstrap founds etcd in the node's volume: an effect. Where other control planes have one, the node joins that.
func (m machines) Bootstrap(ctx context.Context, node provision.Node) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil {
		return err
	}
	if m.engine.disk(machine, boot.EphemeralPath).seat != nil || m.engine.serving(m.cluster.Name) != nil {
		return nil
	}
	if err := m.engine.ordered(ctx); err != nil {
		return err
	}
	m.engine.found(machine)
	return nil
}

// Services tells of etcd and of the kubelet.
func (m machines) Services(ctx context.Context, node provision.Node) ([]provision.Service, error) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil {
		return nil, err
	}
	return []provision.Service{m.engine.etcdService(machine), {ID: "kubelet", State: "Running", Healthy: true}}, nil
}

func (m *Memory) etcdService(machine provision.Machine) provision.Service {
	seat := m.seatOf(machine)
	if seat == nil {
		return provision.Service{ID: "etcd", State: "Preparing", Message: "wants to be bootstrapped"}
	}
	service := provision.Service{ID: "etcd", State: "Running"}
	switch member, _ := seat.etcd.member(seat.id); {
	case member.Learner:
		service.Message = "is a learner"
	case !m.quorate(seat.etcd):
		service.Message = errNoLeader.Error()
	default:
		service.Healthy = true
	}
	return service
}

// ForfeitLeadership lets the next member lead.
func (m machines) ForfeitLeadership(ctx context.Context, node provision.Node) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	machine, err := m.ask(ctx, node)
	if err != nil {
		return err
	}
	if seat := m.engine.seatOf(machine); seat != nil && m.engine.leaderOf(seat.etcd) == seat.id {
		m.engine.forfeit(seat)
	}
	return nil
}

// Version is any.
func (m machines) Version(ctx context.Context, node provision.Node) (string, error) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	_, err := m.ask(ctx, node)
	return "v0.0.0", err
}

// Close does nothing.
func (m machines) Close() error {
	return nil
}
