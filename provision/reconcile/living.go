package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// running are the cluster's nodes whose machines run, desired or not: the control planes, then the workers.
func (d *doing) running(ctx context.Context) ([]provision.Node, error) {
	observed, err := d.Engine.Observe(ctx, d.plan.Cluster)
	if err != nil {
		return nil, err
	}
	var nodes, workers []provision.Node
	for _, machine := range observed.Machines {
		node := provision.Node{Name: machine.Name, Role: machine.Role, IP: machine.IP}
		switch {
		case machine.State != provision.MachineRunning:
		case machine.Role == provision.ControlPlane:
			nodes = append(nodes, node)
		default:
			workers = append(workers, node)
		}
	}
	return slices.Concat(nodes, workers), nil
}

// living is the named node, whose machine runs; that it does not is hopeless.
func (d *doing) living(ctx context.Context, name string) (provision.Node, error) {
	nodes, err := d.running(ctx)
	if err != nil {
		return provision.Node{}, err
	}
	i := slices.IndexFunc(nodes, func(n provision.Node) bool { return n.Name == name })
	if i < 0 {
		return provision.Node{}, breach{fmt.Errorf("the machine of %q does not run any more", name)}
	}
	return nodes[i], nil
}

// viaLiving lets one living node after the other try, other than the step's target, until one can. Only nodes of that role
// are asked, unless it is empty.
func (d *doing) viaLiving(ctx context.Context, step Step, role provision.Role, act func(ctx context.Context, via provision.Node) error) error {
	nodes, err := d.running(ctx)
	if err != nil {
		return err
	}
	errs := []error{errors.New("cannot find a living node that could")}
	for _, via := range nodes {
		if role != "" && via.Role != role || via.Name == step.Target && step.Action != TakeSnapshot {
			continue
		}
		err := act(ctx, via)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", via.Name, err))
	}
	return errors.Join(errs...)
}

// interviewPatience bounds an interview: a node that hangs must not keep those from being asked that answer.
const interviewPatience = 2 * time.Second

// interviews asks all nodes whose machines run, side by side.
func (d *doing) interviews(ctx context.Context) (map[string]picture.Interview, error) {
	running, err := d.running(ctx)
	if err != nil {
		return nil, err
	}
	nodes, _, err := d.apis.both(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, interviewPatience)
	defer cancel()
	answers := make([]picture.Interview, len(running))
	var group sync.WaitGroup
	for i, node := range running {
		group.Go(func() { answers[i] = nodes.Interview(ctx, node) })
	}
	group.Wait()
	interviews := map[string]picture.Interview{}
	for i, node := range running {
		interviews[node.Name] = answers[i]
	}
	return interviews, nil
}
