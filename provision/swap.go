package provision

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// drainPatience is how long pods may take to leave a node.
const drainPatience = 2 * time.Minute

func (u *upgrading) step(ctx context.Context, step Step, waiting func(string)) error {
	if step.Action == UpgradeBalancer {
		return u.swapBalancer(ctx)
	}
	node := u.target.node(step.Target)
	if node.Name != u.away {
		if err := u.clear(ctx, node, waiting); err != nil {
			return errors.Join(err, u.uncordon(context.WithoutCancel(ctx), node, waiting))
		}
	}
	err := u.replace(ctx, node, u.target, waiting)
	// Who interrupts an upgrade wants it to end, and can run it again.
	if err == nil || ctx.Err() != nil {
		return err
	}
	old := u.target
	old.Image = u.oldImage(node.Name)
	waiting("it goes back to " + old.Image)
	if back := u.replace(ctx, node, old, waiting); back != nil {
		return errors.Join(err, fmt.Errorf("cannot give %q its old image back: %w", node.Name, back))
	}
	return fmt.Errorf("%w; %q has its old image back and is healthy", err, node.Name)
}

// oldImage is what the node had, or what the cluster had where an earlier run took the node's machine away.
func (u *upgrading) oldImage(name string) string {
	for _, machine := range u.before.Machines {
		if machine.Name == name {
			return machine.Image
		}
	}
	return u.record.Cluster.Image
}

// clear lets pods and etcd's leadership leave the node.
func (u *upgrading) clear(ctx context.Context, node Node, waiting func(string)) error {
	if !u.asked.Undrained {
		err := u.question(ctx, drainPatience, "pods to leave "+node.Name, waiting, func(ctx context.Context) (string, error) {
			return u.kubernetes.Drain(ctx, node.Name)
		})
		if err != nil {
			return WithHint(err, "--drain=false lets pods stop with their node, whatever their disruption budgets say")
		}
	}
	if node.Role != ControlPlane || len(u.target.ControlPlanes()) == 1 {
		return nil
	}
	if err := u.machines.ForfeitLeadership(ctx, node); err != nil {
		return fmt.Errorf("letting another lead etcd: %w", err)
	}
	return nil
}

// replace makes the node's machine anew of the cluster's image, on the same volumes, and waits until it does its part.
func (u *upgrading) replace(ctx context.Context, node Node, cluster Cluster, waiting func(string)) error {
	if err := u.swap(ctx, node, cluster); err != nil {
		return err
	}
	// CoreDNS may have nowhere to run until the node takes pods again.
	settled := cluster
	settled.Expect.CoreDNS = false
	if err := u.await(ctx, settled, revived); err != nil {
		return err
	}
	if err := u.uncordon(ctx, node, waiting); err != nil {
		return err
	}
	return u.await(ctx, cluster, conditions)
}

func (u *upgrading) swap(ctx context.Context, node Node, cluster Cluster) error {
	observed, err := u.Provider.Observe(ctx, cluster.Name)
	if err != nil {
		return err
	}
	for _, machine := range observed.ofNode(node.Name).Machines {
		if err := u.halt(ctx, machine); err != nil {
			return err
		}
	}
	// The ports that were chosen at the beginning are in nobody's configuration but the machine's.
	for _, machine := range u.before.ofNode(node.Name).Machines {
		if len(machine.Ports) > 0 {
			node.Ports = machine.Ports
		}
	}
	if err := u.Provider.CreateNode(ctx, cluster, node, u.record.Configs[node.Name]); err != nil {
		return fmt.Errorf("creating node %q of %s: %w", node.Name, cluster.Image, err)
	}
	return nil
}

func (u *upgrading) halt(ctx context.Context, machine Machine) error {
	machines, ok := u.Provider.(Switch)
	if !ok {
		return fmt.Errorf("provider %s keeps its machines running: %w", u.Provider.Name(), errors.ErrUnsupported)
	}
	if err := machines.Turn(ctx, machine, MachineStopped); err != nil {
		return fmt.Errorf("stopping %q: %w", machine.Name, err)
	}
	return nil
}

// swapBalancer costs open connections, and no more: who has the host's ports now keeps them.
func (u *upgrading) swapBalancer(ctx context.Context) error {
	cluster := u.target
	balancer := *cluster.Balancer
	observed, err := u.Provider.Observe(ctx, cluster.Name)
	if err != nil {
		return err
	}
	for _, machine := range observed.Balancers {
		if machine.Image == cluster.Image && machine.State == MachineRunning {
			return nil
		}
		if len(machine.Ports) > 0 {
			balancer.Ports = machine.Ports
		}
		if err := u.halt(ctx, machine); err != nil {
			return err
		}
	}
	cluster.Balancer = &balancer
	if err := u.createBalancer(ctx, cluster); err != nil {
		return err
	}
	return u.await(ctx, u.target, conditions)
}

func (u *upgrading) uncordon(ctx context.Context, node Node, waiting func(string)) error {
	return u.question(ctx, drainPatience, node.Name+" to take pods", waiting, func(ctx context.Context) (string, error) {
		return u.kubernetes.Uncordon(ctx, node.Name)
	})
}

// question waits, no longer than that, until the answer is nothing.
func (u *upgrading) question(ctx context.Context, limit time.Duration, name string, waiting func(string), ask func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no more patience after %s", limit))
	defer cancel()
	return Condition{Name: name, Phase: PhaseDrain, Check: ask}.Wait(ctx, waiting)
}

// await waits for the cluster's health, and no longer than the user's patience.
func (u *upgrading) await(ctx context.Context, cluster Cluster, conditions conditionsOf) error {
	ctx, cancel := context.WithTimeoutCause(ctx, u.patience(), fmt.Errorf("no more patience after %s", u.patience()))
	defer cancel()
	return u.guarded(ctx, cluster.Nodes, func(ctx context.Context) error {
		for _, condition := range conditions(cluster, u.machines, u.kubernetes) {
			if err := condition.Wait(ctx, func(string) {}); err != nil {
				return err
			}
		}
		return nil
	})
}
