package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bronze-os/bronze/provision"
)

// actOnEngine does the steps that need no API of the cluster.
func (d *doing) actOnEngine(ctx context.Context, step Step) error {
	switch step.Action {
	case CreateBalancer:
		return d.createBalancer(ctx)
	case Desire:
		return d.desire(ctx, step)
	case Forget:
		return d.forget(ctx, step)
	case CreateMachine:
		return d.createMachine(ctx, step)
	case StartMachine:
		return d.startMachine(ctx, step)
	case Settle:
		return d.settle()
	default:
		return d.remove(ctx, step)
	}
}

// createBalancer makes the balancer anew. Where the engine chooses the host's ports, they are others than before.
func (d *doing) createBalancer(ctx context.Context) error {
	record := d.current()
	if err := d.tellBalancer(ctx, record.Cluster); err != nil {
		return err
	}
	d.apis.reset()
	return d.tellContexts(ctx, record)
}

// tellBalancer gives the balancer the cluster's control planes; one that does not run is made.
func (d *doing) tellBalancer(ctx context.Context, cluster provision.Cluster) error {
	if cluster.Balancer == nil {
		return nil
	}
	balancing, ok := d.Engine.(provision.Balancing)
	if !ok {
		return fmt.Errorf("cannot balance on %s: %w", d.Engine.Name(), errors.ErrUnsupported)
	}
	if err := balancing.CreateBalancer(ctx, cluster); err != nil {
		return fmt.Errorf("telling balancer %q: %w", cluster.Balancer.Name, err)
	}
	return nil
}

func (d *doing) tellContexts(ctx context.Context, record provision.Record) error {
	if d.Contexts == nil {
		return nil
	}
	observed, err := d.Engine.Observe(ctx, record.Cluster.Name)
	if err != nil {
		return err
	}
	access := provision.AccessOf(record, observed)
	if refresher, ok := d.Contexts.(Refresher); ok {
		return refresher.Refresh(ctx, access)
	}
	return d.Contexts.Add(ctx, access)
}

// desire puts the step's node into the desired state. The balancer knows of a new control plane before it is stored: one
// backend too many does no harm, and the step is done again where it died between.
func (d *doing) desire(ctx context.Context, step Step) error {
	if step.Node == nil {
		return errors.New("cannot tell what is desired")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := with(d.record, *step.Node, d.plan.Configs[step.Target])
	if step.MachineID != "" {
		wanted.Machines = maps.Clone(wanted.Machines)
		if wanted.Machines == nil {
			wanted.Machines = map[string]string{}
		}
		wanted.Machines[step.Target] = step.MachineID
	}
	if step.Node.Role == provision.ControlPlane {
		if err := d.tellBalancer(ctx, wanted.Cluster); err != nil {
			return err
		}
	}
	return d.store(wanted)
}

// forget takes the step's node out of the desired state. That is stored last: until then, who looks finds the node missing
// and does what was not done.
func (d *doing) forget(ctx context.Context, step Step) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := without(d.record, step.Target)
	if len(wanted.Cluster.Nodes) == len(d.record.Cluster.Nodes) {
		return nil
	}
	if len(wanted.Cluster.ControlPlanes()) == 0 {
		return breach{errors.New("cannot forget the only control plane")}
	}
	if len(wanted.Cluster.ControlPlanes()) < len(d.record.Cluster.ControlPlanes()) {
		if err := d.tellBalancer(ctx, wanted.Cluster); err != nil {
			return err
		}
	}
	// The talosconfig names the founder.
	if wanted.Cluster.Founder().Name != d.record.Cluster.Founder().Name {
		if err := d.tellContexts(ctx, wanted); err != nil {
			return err
		}
	}
	return d.store(wanted)
}

// settle lets no node be one that joins any more.
func (d *doing) settle() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := d.record
	wanted.Cluster.Nodes = slices.Clone(wanted.Cluster.Nodes)
	for i := range wanted.Cluster.Nodes {
		wanted.Cluster.Nodes[i].Joining = false
	}
	return d.store(wanted)
}

// store is called with mu held.
func (d *doing) store(wanted provision.Record) error {
	if err := d.Store.Save(wanted); err != nil {
		return err
	}
	d.record = wanted
	return nil
}

// with is the record with a node more, or with that node as it is said. Control planes come before workers, and the founder
// stays the first: others join what it founded.
func with(record provision.Record, node provision.Node, machineConfig []byte) provision.Record {
	nodes := slices.Clone(record.Cluster.Nodes)
	at := slices.IndexFunc(nodes, func(n provision.Node) bool { return n.Name == node.Name })
	switch {
	case at >= 0:
		nodes[at] = node
	case node.Role == provision.ControlPlane:
		nodes = slices.Insert(nodes, len(record.Cluster.ControlPlanes()), node)
	default:
		nodes = append(nodes, node)
	}
	record.Cluster.Nodes = nodes
	record.Configs = maps.Clone(record.Configs)
	record.Configs[node.Name] = machineConfig
	return record
}

// without is the record without the named node, which nobody replaces any more then.
func without(record provision.Record, name string) provision.Record {
	record.Cluster.Nodes = slices.DeleteFunc(slices.Clone(record.Cluster.Nodes), func(n provision.Node) bool { return n.Name == name })
	for i := range record.Cluster.Nodes {
		if record.Cluster.Nodes[i].Replaces == name {
			record.Cluster.Nodes[i].Replaces = ""
		}
	}
	record.Configs, record.Machines = maps.Clone(record.Configs), maps.Clone(record.Machines)
	delete(record.Configs, name)
	delete(record.Machines, name)
	return record
}

// createMachine makes the machine of a desired node, on its volumes where those are there, and remembers its ID.
func (d *doing) createMachine(ctx context.Context, step Step) error {
	record := d.current()
	i := slices.IndexFunc(record.Cluster.Nodes, func(n provision.Node) bool { return n.Name == step.Target })
	if i < 0 {
		return errors.New("cannot create what is not desired")
	}
	if err := d.Engine.CreateNode(ctx, record.Cluster, record.Cluster.Nodes[i], record.Configs[step.Target]); err != nil {
		return err
	}
	observed, err := d.Engine.Observe(ctx, record.Cluster.Name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	record = d.record
	if !record.Remember(observed) {
		return nil
	}
	return d.store(record)
}

func (d *doing) startMachine(ctx context.Context, step Step) error {
	machines, ok := d.Engine.(provision.Switch)
	if !ok {
		return fmt.Errorf("provider %s keeps its machines running: %w", d.Engine.Name(), errors.ErrUnsupported)
	}
	machine, err := d.machine(ctx, step)
	if err != nil {
		return err
	}
	if machine.ID == "" {
		return breach{errors.New("cannot go on: its machine is gone")}
	}
	return machines.Turn(ctx, machine, provision.MachineRunning)
}

// machine asks the engine for the step's machine, by its ID; the zero one where it is gone. One that is not the cluster's
// any more is left alone.
func (d *doing) machine(ctx context.Context, step Step) (provision.Machine, error) {
	machine, found, err := d.Engine.Machine(ctx, step.MachineID)
	if err != nil {
		return provision.Machine{}, fmt.Errorf("asking the engine for machine %s: %w", step.MachineID, err)
	}
	if found && machine.Cluster != d.plan.Cluster {
		return provision.Machine{}, breach{fmt.Errorf("cannot go on: machine %q is not of this cluster", machine.Name)}
	}
	if !found {
		return provision.Machine{}, nil
	}
	return machine, nil
}

// remove takes the node's machine away, and its volumes; the volumes alone where the step says so.
func (d *doing) remove(ctx context.Context, step Step) error {
	var doomed provision.Observed
	if step.Action == RemoveMachine {
		machine, err := d.machine(ctx, step)
		if err != nil {
			return err
		}
		if machine.ID != "" {
			doomed.Machines = append(doomed.Machines, machine)
		}
	}
	observed, err := d.Engine.Observe(ctx, d.plan.Cluster)
	if err != nil {
		return err
	}
	for _, volume := range observed.Volumes {
		if volume.Node == step.Target {
			doomed.Volumes = append(doomed.Volumes, volume)
		}
	}
	return d.Engine.Remove(ctx, doomed)
}
