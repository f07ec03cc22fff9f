package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Create makes the requested cluster, or finishes one that was begun, and waits until it is healthy. What it needs is
// stored before the engine is touched, so that it can be run again after any end. Errors: ErrDiffers, ErrStateLost,
// ErrSubnetTaken, ErrClash, and *HeldError where another process works on a cluster of that name.
func (r *Reconciler) Create(ctx context.Context, request Request) (Result, error) {
	if err := CheckName(request.Name); err != nil {
		return Result{}, err
	}
	var result Result
	err := r.Store.Held(request.Name, func() (err error) {
		result, err = r.create(ctx, request)
		return err
	})
	if err != nil {
		return result, fmt.Errorf("creating cluster %q: %w", request.Name, err)
	}
	return result, nil
}

func (r *Reconciler) create(ctx context.Context, request Request) (Result, error) {
	w := r.begin()
	err := w.Run(PhasePrepare, "prepare", func(func(string)) error { return w.prepare(ctx, request) })
	if err != nil {
		return w.result(), err
	}
	warnings, err := r.warnings(ctx, w.record.Cluster)
	if err != nil {
		return w.result(), err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.patience(), fmt.Errorf("no more patience after %s", r.patience()))
	defer cancel()
	access, err := w.converge(ctx)
	result := w.result()
	result.Access, result.Warnings = access, warnings
	if err != nil {
		hint := fmt.Sprintf("run the same create again to go on, or bronze cluster destroy %s", request.Name)
		return result, WithHint(err, hint)
	}
	return result, nil
}

func (r *Reconciler) patience() time.Duration {
	if r.Patience > 0 {
		return r.Patience
	}
	return DefaultPatience
}

func (r *Reconciler) warnings(ctx context.Context, cluster Cluster) ([]string, error) {
	warner, ok := r.Provider.(Warner)
	if !ok {
		return nil, nil
	}
	return warner.Warnings(ctx, cluster)
}

// prepare decides what the cluster is to be, proves that the provider can make it, plans, and stores.
func (w *work) prepare(ctx context.Context, request Request) error {
	fresh, err := w.desire(ctx, request)
	if err != nil {
		return err
	}
	if err := w.Provider.Preflight(ctx, w.record.Cluster); err != nil {
		return err
	}
	w.repairs = !fresh
	if fresh {
		return w.Store.Save(w.record)
	}
	return nil
}

// converge does the steps, waits for health unless in haste, and adds the client contexts.
func (w *work) converge(ctx context.Context) (Access, error) {
	if err := w.do(ctx); err != nil {
		return Access{}, err
	}
	observed, err := w.Provider.Observe(ctx, w.record.Cluster.Name)
	if err != nil {
		return Access{}, err
	}
	if err := w.remember(observed); err != nil {
		return Access{}, err
	}
	access := AccessOf(w.record, observed)
	if !w.Hasty && !w.Uninjected {
		awaited := conditions
		if w.repairs {
			awaited = revived
		}
		if err := w.health(ctx, access, awaited); err != nil {
			return access, err
		}
	}
	return access, w.addContexts(ctx, access)
}

// remember stores the IDs of the machines that are there.
func (w *work) remember(observed Observed) error {
	if !w.record.Remember(observed) {
		return nil
	}
	return w.Store.Save(w.record)
}

func (w *work) addContexts(ctx context.Context, access Access) error {
	if w.Contexts == nil {
		return nil
	}
	return w.Run(PhaseContexts, "add client contexts", func(func(string)) error {
		return w.Contexts.Add(ctx, access)
	})
}

// do does the planned steps; the first that fails stops all others, and its error is the one to tell.
func (w *work) do(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error
	var once sync.Once
	err := Schedule(ctx, w.steps, func(ctx context.Context, step Step) error {
		err := w.Run(step.phase(), step.String(), func(waiting func(string)) error {
			return w.act(ctx, step, waiting)
		})
		if err != nil {
			once.Do(func() { first = err })
			cancel()
		}
		return err
	})
	return cmp.Or(first, err)
}

func (w *work) act(ctx context.Context, step Step, waiting func(string)) error {
	cluster := w.record.Cluster
	switch step.Action {
	case CreateNetwork:
		if err := w.Provider.CreateNetwork(ctx, cluster); err != nil {
			return fmt.Errorf("creating network %q: %w", step.Target, err)
		}
		return nil
	case CreateBalancer:
		return w.createBalancer(ctx, cluster)
	case CreateNode:
		node := cluster.node(step.Target)
		config := w.record.Configs[node.Name]
		if w.Uninjected {
			config = nil
		}
		if err := w.Provider.CreateNode(ctx, cluster, node, config); err != nil {
			return fmt.Errorf("creating node %q: %w", node.Name, err)
		}
		return nil
	case Bootstrap:
		return w.bootstrap(ctx, waiting)
	default:
		return fmt.Errorf("cannot %s: %w", step, errors.ErrUnsupported)
	}
}

// createBalancer finds the provider able to, as the cluster has a balancer for no other reason.
func (w *work) createBalancer(ctx context.Context, cluster Cluster) error {
	balancing, ok := w.Provider.(Balancing)
	if !ok {
		return fmt.Errorf("cannot make balancer %q on %s: %w", cluster.Balancer.Name, w.Provider.Name(), errors.ErrUnsupported)
	}
	if err := balancing.CreateBalancer(ctx, cluster); err != nil {
		return fmt.Errorf("creating balancer %q: %w", cluster.Balancer.Name, err)
	}
	return nil
}

// bootstrap asks the founder as soon as it runs, and until it answers.
func (w *work) bootstrap(ctx context.Context, waiting func(string)) error {
	observed, err := w.Provider.Observe(ctx, w.record.Cluster.Name)
	if err != nil {
		return err
	}
	machines, err := w.Connector.Machines(AccessOf(w.record, observed))
	if err != nil {
		return err
	}
	defer machines.Close()
	founder := w.record.Cluster.Founder()
	condition := Condition{Name: "the machine API to bootstrap etcd", Check: func(ctx context.Context) (string, error) {
		return "", machines.Bootstrap(ctx, founder)
	}}
	return w.guarded(ctx, []Node{founder}, func(ctx context.Context) error { return condition.Wait(ctx, waiting) })
}

// health waits for all conditions of the cluster.
func (w *work) health(ctx context.Context, access Access, conditions conditionsOf) error {
	machines, err := w.Connector.Machines(access)
	if err != nil {
		return err
	}
	defer machines.Close()
	kubernetes, err := w.Connector.Kubernetes(access)
	if err != nil {
		return err
	}
	defer kubernetes.Close()
	return w.guarded(ctx, access.Cluster.Nodes, func(ctx context.Context) error {
		for _, condition := range conditions(access.Cluster, machines, kubernetes) {
			err := w.Run(condition.Phase, condition.Name, func(waiting func(string)) error {
				return condition.Wait(ctx, waiting)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// node is the node of that name; the zero one where there is none.
func (c Cluster) node(name string) Node {
	for _, node := range c.Nodes {
		if node.Name == name {
			return node
		}
	}
	return Node{}
}
