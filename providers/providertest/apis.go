package providertest

import (
	"context"
	"fmt"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// APIs are the machine API and the Kubernetes API of every cluster in a Memory: nodes answer while their machine runs and
// the cluster's balancer does. etcd is where it was bootstrapped, in the founder's volume, and other control planes join it.
type APIs struct {
	Engine *Memory
}

var _ provision.Connector = APIs{}

// Machines opens the machine API.
func (a APIs) Machines(access provision.Access) (provision.Machines, error) {
	return machines{engine: a.Engine, cluster: access.Cluster}, nil
}

// Kubernetes opens the Kubernetes API.
func (a APIs) Kubernetes(access provision.Access) (provision.Kubernetes, error) {
	return kubernetes{engine: a.Engine, cluster: access.Cluster}, nil
}

type machines struct {
	engine  *Memory
	cluster provision.Cluster
}

// running is nil where the cluster's machine of that name answers. The engine's mu is held.
func (m *Memory) running(ctx context.Context, cluster provision.Cluster, name string) error {
	if err := m.alive(ctx); err != nil {
		return fmt.Errorf("%w: %w", provision.ErrHopeless, err)
	}
	names := []string{name}
	if cluster.Balancer != nil {
		names = append(names, cluster.Balancer.Name)
	}
	for _, name := range names {
		if m.machines[name].State != provision.MachineRunning {
			return fmt.Errorf("cannot dial %q: connection refused", name)
		}
	}
	return nil
}

// member tells whether a control plane has an etcd: one that was founded there, or one that it joins now since another
// control plane that runs is a member. The engine's mu is held.
func (m *Memory) member(cluster provision.Cluster, node string) bool {
	own := volumeName(node, boot.EphemeralPath)
	for _, other := range cluster.ControlPlanes() {
		runs := m.machines[other.Name].State == provision.MachineRunning
		if runs && m.founded[volumeName(other.Name, boot.EphemeralPath)] {
			m.founded[own] = true
		}
	}
	return m.founded[own]
}

// Bootstrap founds etcd in the node's volume: an effect.
func (m machines) Bootstrap(ctx context.Context, node provision.Node) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	if err := m.engine.running(ctx, m.cluster, node.Name); err != nil {
		return err
	}
	volume := volumeName(node.Name, boot.EphemeralPath)
	if m.engine.founded[volume] {
		return nil
	}
	if err := m.engine.effect(ctx); err != nil {
		return fmt.Errorf("%w: %w", provision.ErrHopeless, err)
	}
	m.engine.founded[volume] = true
	return nil
}

// Services tells of etcd and of the kubelet.
func (m machines) Services(ctx context.Context, node provision.Node) ([]provision.Service, error) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	if err := m.engine.running(ctx, m.cluster, node.Name); err != nil {
		return nil, err
	}
	etcd := provision.Service{ID: "etcd", State: "Preparing", Message: "wants to be bootstrapped"}
	if m.engine.member(m.cluster, node.Name) {
		etcd = provision.Service{ID: "etcd", State: "Running", Healthy: true}
	}
	return []provision.Service{etcd, {ID: "kubelet", State: "Running", Healthy: true}}, nil
}

// ForfeitLeadership needs a node that answers.
func (m machines) ForfeitLeadership(ctx context.Context, node provision.Node) error {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	return m.engine.running(ctx, m.cluster, node.Name)
}

// Version is any.
func (m machines) Version(ctx context.Context, node provision.Node) (string, error) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	return "v0.0.0", m.engine.running(ctx, m.cluster, node.Name)
}

// Close does nothing.
func (m machines) Close() error {
	return nil
}

type kubernetes struct {
	engine  *Memory
	cluster provision.Cluster
}

// APIServes wants a running control plane with an etcd.
func (k kubernetes) APIServes(ctx context.Context) (string, error) {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	for _, node := range k.cluster.ControlPlanes() {
		if k.engine.running(ctx, k.cluster, node.Name) == nil && k.engine.member(k.cluster, node.Name) {
			return "", nil
		}
	}
	return "no control plane serves", k.engine.alive(ctx)
}

// NodesReady wants every node's machine to run.
func (k kubernetes) NodesReady(ctx context.Context, names []string) (string, error) {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	for _, name := range names {
		if k.engine.machines[name].Image == k.engine.broken {
			return "node " + name + " is not Ready: its image is broken", nil
		}
		if err := k.engine.running(ctx, k.cluster, name); err != nil {
			return "node " + name + " is not Ready", nil
		}
	}
	return "", nil
}

// DeploymentAvailable is always so.
func (k kubernetes) DeploymentAvailable(context.Context, string, string) (string, error) {
	return "", nil
}

// Drain closes the node; pods leave at once.
func (k kubernetes) Drain(ctx context.Context, node string) (string, error) {
	return k.cordon(ctx, node, true)
}

// Uncordon opens the node.
func (k kubernetes) Uncordon(ctx context.Context, node string) (string, error) {
	return k.cordon(ctx, node, false)
}

func (k kubernetes) cordon(ctx context.Context, node string, closed bool) (string, error) {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	if k.engine.cordoned[node] == closed {
		return "", k.engine.alive(ctx)
	}
	if err := k.engine.effect(ctx); err != nil {
		return "", fmt.Errorf("%w: %w", provision.ErrHopeless, err)
	}
	k.engine.cordoned[node] = closed
	return "", nil
}

// Close does nothing.
func (k kubernetes) Close() error {
	return nil
}
