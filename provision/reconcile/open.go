package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/bronze-os/bronze/provision"
)

// apis are a cluster's, opened when the first step needs them, as the balancer before them may have to be made first.
type apis struct {
	open func(ctx context.Context) (Nodes, Kubernetes, error)

	mu         sync.Mutex
	nodes      Nodes
	kubernetes Kubernetes
}

// both are the cluster's APIs; they are closed by reset.
func (a *apis) both(ctx context.Context) (Nodes, Kubernetes, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes != nil {
		return a.nodes, a.kubernetes, nil
	}
	nodes, kubernetes, err := a.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	a.nodes, a.kubernetes = nodes, kubernetes
	return nodes, kubernetes, nil
}

// reset closes the APIs; who needs them next opens them where they are then.
func (a *apis) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes == nil {
		return
	}
	// Nothing depends on how connections end.
	_ = errors.Join(a.nodes.Close(), a.kubernetes.Close())
	a.nodes, a.kubernetes = nil, nil
}

// connect opens the APIs where the engine says that they are.
func (d *doing) connect(ctx context.Context) (Nodes, Kubernetes, error) {
	record := d.current()
	observed, err := d.Engine.Observe(ctx, record.Cluster.Name)
	if err != nil {
		return nil, nil, err
	}
	access := provision.AccessOf(record, observed)
	if !access.MachineAPI.IsValid() || !access.KubernetesAPI.IsValid() {
		return nil, nil, fmt.Errorf("cannot reach cluster %q: what carries its APIs does not run", record.Cluster.Name)
	}
	nodes, err := d.Connector.Nodes(access)
	if err != nil {
		return nil, nil, err
	}
	kubernetes, err := d.Connector.Kubernetes(access)
	if err != nil {
		return nil, nil, errors.Join(err, nodes.Close())
	}
	return nodes, kubernetes, nil
}
