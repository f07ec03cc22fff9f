package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// The actions by which a cluster that lost its quorum for good is founded anew. provision/recovery plans them.
const (
	// WipeMachine takes away the machine of that ID, and all of the node's volumes but the one with its identity and its
	// machine config. The data of its etcd go with them.
	WipeMachine Action = "wipe"
	// RecoverEtcd has the node, which has no data of etcd, found etcd from the step's snapshot.
	RecoverEtcd Action = "recover etcd on"
	// RestartMachine stops the machine of that ID in order and starts it again.
	RestartMachine Action = "restart machine"
)

// Founding is what Nodes also implement where etcd can be founded from a snapshot.
type Founding interface {
	// FoundEtcd gives a control plane without data of etcd a snapshot, and has it found etcd from that. One that has
	// founded etcd is no error. ErrHopeless is in the error where the snapshot cannot be used.
	FoundEtcd(ctx context.Context, node provision.Node, snapshot io.Reader) error
}

// foundPause lies between two attempts to found etcd on a node that boots.
const foundPause = 500 * time.Millisecond

// refound does the steps of this file.
func (d *doing) refound(ctx context.Context, step Step, waiting func(string)) error {
	switch step.Action {
	case WipeMachine:
		return d.wipe(ctx, step)
	case RecoverEtcd:
		return d.recoverEtcd(ctx, step, waiting)
	default:
		return d.restartMachine(ctx, step)
	}
}

// wipe leaves alone a machine of the node that is not the one that was meant.
func (d *doing) wipe(ctx context.Context, step Step) error {
	var doomed provision.Observed
	if step.MachineID != "" {
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
	for _, machine := range observed.Machines {
		if machine.Name == step.Target && machine.ID != step.MachineID {
			return breach{fmt.Errorf("cannot go on: %q has another machine by now, %s", machine.Name, machine.ID)}
		}
	}
	for _, volume := range observed.Volumes {
		if volume.Node == step.Target && volume.Path != boot.StatePath {
			doomed.Volumes = append(doomed.Volumes, volume)
		}
	}
	return d.Engine.Remove(ctx, doomed)
}

func (d *doing) restartMachine(ctx context.Context, step Step) error {
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
	if err := machines.Turn(ctx, machine, provision.MachineStopped); err != nil {
		return err
	}
	return machines.Turn(ctx, machine, provision.MachineRunning)
}

// recoverEtcd asks a node that boots until it takes the snapshot. Unlike a question, one attempt may take as long as all:
// the snapshot is sent, and etcd's data are made of it.
func (d *doing) recoverEtcd(ctx context.Context, step Step, waiting func(string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.patience(), fmt.Errorf("no more patience after %s", d.patience()))
	defer cancel()
	for {
		err := d.found(ctx, step)
		if err == nil || errors.Is(err, provision.ErrHopeless) {
			return err
		}
		waiting(err.Error())
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		case <-time.After(foundPause):
		}
	}
}

func (d *doing) found(ctx context.Context, step Step) error {
	node, err := d.living(ctx, step.Target)
	if err != nil {
		return err
	}
	nodes, _, err := d.apis.both(ctx)
	if err != nil {
		return err
	}
	founding, ok := nodes.(Founding)
	if !ok {
		return breach{fmt.Errorf("cannot found etcd from a snapshot: %w", errors.ErrUnsupported)}
	}
	snapshot, err := os.Open(step.Snapshot)
	if err != nil {
		return breach{fmt.Errorf("cannot read the snapshot: %w", err)}
	}
	defer snapshot.Close()
	return founding.FoundEtcd(ctx, node, snapshot)
}
