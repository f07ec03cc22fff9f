package providertest

import (
	"context"
	"errors"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

type kubernetes struct {
	engine  *Memory
	cluster provision.Cluster
}

var errNoServer = errors.New("no control plane serves")

// serving is what every call begins with: the cluster's Kubernetes is where its etcd has a majority. The caller holds the
// engine's mu.
func (k kubernetes) serving(ctx context.Context) (*etcd, error) {
	if err := k.engine.alive(ctx); err != nil {
		return nil, hopeless(err)
	}
	if err := k.engine.gate(k.cluster); err != nil {
		return nil, err
	}
	k.engine.settle(k.cluster.Name)
	if serving := k.engine.serving(k.cluster.Name); serving != nil {
		return serving, nil
	}
	return nil, errNoServer
}

// why turns an error into a reason to wait, but for the caller's own death.
func why(err error) (string, error) {
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, provision.ErrHopeless):
		return "", err
	default:
		return err.Error(), nil
	}
}

// APIServes wants a control plane that is a voter.
func (k kubernetes) APIServes(ctx context.Context) (string, error) {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	_, err := k.serving(ctx)
	return why(err)
}

// NodesReady wants every node to have joined, and its machine to run.
func (k kubernetes) NodesReady(ctx context.Context, names []string) (string, error) {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	serving, err := k.serving(ctx)
	if err != nil {
		return why(err)
	}
	for _, name := range names {
		switch node, joined := serving.nodes[name]; {
		case !joined:
			return name + " has not joined", nil
		case !node.Ready:
			return "node " + name + " is not Ready: its image is broken", nil
		case !k.engine.runs(k.cluster.Name, name):
			return "node " + name + " is not Ready", nil
		}
	}
	return "", nil
}

// runs tells whether a machine of the cluster runs that calls itself so.
func (m *Memory) runs(cluster, hostname string) bool {
	for _, machine := range m.nodesOf(cluster) {
		if m.hostname(machine) == hostname {
			return true
		}
	}
	return false
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
	serving, err := k.serving(ctx)
	if err != nil {
		return why(err)
	}
	found, joined := serving.nodes[node]
	if !joined || found.Unschedulable == closed {
		return "", nil
	}
	if err := k.engine.ordered(ctx); err != nil {
		return "", err
	}
	found.Unschedulable = closed
	serving.nodes[node] = found
	return "", nil
}

// Nodes lists all.
func (k kubernetes) Nodes(ctx context.Context) ([]picture.KubernetesNode, error) {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	serving, err := k.serving(ctx)
	if err != nil {
		return nil, err
	}
	return pick(serving.nodes, func(picture.KubernetesNode) bool { return true }), nil
}

// OutOfService taints the Node: an effect.
func (k kubernetes) OutOfService(ctx context.Context, name, uid string) error {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	serving, err := k.serving(ctx)
	if err != nil {
		return err
	}
	node, there := serving.nodes[name]
	if !there || node.UID != uid || node.OutOfService {
		return nil
	}
	if err := k.engine.ordered(ctx); err != nil {
		return err
	}
	node.OutOfService = true
	serving.nodes[name] = node
	return nil
}

// DeleteNode deletes the Node: an effect. Its kubelet does not register again before its machine starts anew.
func (k kubernetes) DeleteNode(ctx context.Context, name, uid string) error {
	k.engine.mu.Lock()
	defer k.engine.mu.Unlock()
	serving, err := k.serving(ctx)
	if err != nil {
		return err
	}
	if node, there := serving.nodes[name]; !there || node.UID != uid {
		return nil
	}
	if err := k.engine.ordered(ctx); err != nil {
		return err
	}
	delete(serving.nodes, name)
	for _, machine := range k.engine.nodesOf(k.cluster.Name) {
		if with := k.engine.made[machine.ID]; k.engine.hostname(machine) == name {
			with.deregistered = true
			k.engine.made[machine.ID] = with
		}
	}
	return nil
}

// Close does nothing.
func (k kubernetes) Close() error {
	return nil
}
