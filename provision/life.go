package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNotRunning: the cluster has no machine in the state that was to be left.
var ErrNotRunning = errors.New("has no machine to")

// turn is one of the ways in which the machines of a cluster change together.
type turn struct {
	action Action
	to     MachineState
	// from are the states that the turn is for; machines in any other are left alone.
	from []MachineState
	// outermost tells that workers go first, then control planes, then the balancer, so that none is missed by those
	// that still run. Otherwise the order is the reverse, and the balancer comes with the control planes.
	outermost bool
}

func turns() map[Action]turn {
	return map[Action]turn{
		Stop:   {Stop, MachineStopped, []MachineState{MachineRunning, MachinePaused, MachineRestarting}, true},
		Start:  {Start, MachineRunning, []MachineState{MachineStopped, MachineCreated, MachinePaused}, false},
		Pause:  {Pause, MachinePaused, []MachineState{MachineRunning}, true},
		Resume: {Resume, MachineRunning, []MachineState{MachinePaused}, false},
	}
}

// plan lists a step for each machine that the turn is for.
func (t turn) plan(observed Observed) []Step {
	ranks := [][]Machine{observed.ofRole(Worker), observed.ofRole(ControlPlane), observed.Balancers}
	if !t.outermost {
		ranks = [][]Machine{slices.Concat(observed.Balancers, observed.ofRole(ControlPlane)), observed.ofRole(Worker)}
	}
	var steps []Step
	var before []int
	for _, rank := range ranks {
		var now []int
		for _, machine := range rank {
			if slices.Contains(t.from, machine.State) {
				now = append(now, len(steps))
				steps = append(steps, Step{Action: t.action, Target: machine.Name, After: before})
			}
		}
		if len(now) > 0 {
			before = now
		}
	}
	return steps
}

func (o Observed) ofRole(role Role) []Machine {
	var machines []Machine
	for _, machine := range o.Machines {
		if machine.Role == role {
			machines = append(machines, machine)
		}
	}
	return machines
}

// Stop ends the machines of a cluster in order: the workers, the control planes, the balancer. Their volumes, addresses
// and ports stay theirs. ErrNotFound where the engine has nothing of the cluster.
func (r *Reconciler) Stop(ctx context.Context, name string) (Result, error) {
	return r.turn(ctx, name, Stop)
}

// Start brings all machines of a cluster to run, the control planes first, and waits until the cluster is healthy, unless
// it is not stored: then nothing is known of what to wait for. ErrNotFound where the engine has nothing of the cluster.
func (r *Reconciler) Start(ctx context.Context, name string) (Result, error) {
	return r.turn(ctx, name, Start)
}

// Pause freezes the processes of a cluster where they are. ErrNotRunning where none of its machines runs.
func (r *Reconciler) Pause(ctx context.Context, name string) (Result, error) {
	return r.turn(ctx, name, Pause)
}

// Resume lets a paused cluster go on, and waits as Start does. ErrNotRunning where all of its machines are stopped.
func (r *Reconciler) Resume(ctx context.Context, name string) (Result, error) {
	return r.turn(ctx, name, Resume)
}

func (r *Reconciler) turn(ctx context.Context, name string, action Action) (Result, error) {
	if err := CheckName(name); err != nil {
		return Result{}, err
	}
	var result Result
	err := r.Store.Held(name, func() (err error) {
		result, err = r.turnAll(ctx, name, turns()[action])
		return err
	})
	if err != nil {
		return result, fmt.Errorf("cannot %s cluster %q: %w", action, name, err)
	}
	return result, nil
}

func (r *Reconciler) turnAll(ctx context.Context, name string, turn turn) (Result, error) {
	w := r.begin()
	observed, err := r.Provider.Observe(ctx, name)
	if err != nil {
		return w.result(), err
	}
	if len(observed.all()) == 0 {
		return w.result(), WithHint(ErrNotFound, "bronze cluster list shows those that are there")
	}
	w.steps = turn.plan(observed)
	if err := turn.check(observed); err != nil {
		return w.result(), err
	}
	if err := w.turnSteps(ctx, observed, turn.to); err != nil || turn.to != MachineRunning {
		return w.result(), err
	}
	return w.revive(ctx, name)
}

// check refuses to pause what does not run, and to resume what was stopped: neither would leave the cluster as asked.
func (t turn) check(observed Observed) error {
	in := func(states ...MachineState) bool {
		return !slices.ContainsFunc(observed.all(), func(m Machine) bool { return !slices.Contains(states, m.State) })
	}
	stopped := in(MachineStopped, MachineCreated)
	if stopped && (t.action == Pause || t.action == Resume) {
		return WithHint(fmt.Errorf("it %w %s: all are stopped", ErrNotRunning, t.action), "bronze cluster start "+observed.all()[0].Cluster)
	}
	return nil
}

func (w *work) turnSteps(ctx context.Context, observed Observed, to MachineState) error {
	machines, ok := w.Provider.(Switch)
	if !ok {
		return fmt.Errorf("provider %s keeps its machines running: %w", w.Provider.Name(), errors.ErrUnsupported)
	}
	return Schedule(ctx, w.steps, func(ctx context.Context, step Step) error {
		return w.Run(step.phase(), step.String(), func(func(string)) error {
			for _, machine := range observed.ofNode(step.Target).all() {
				if err := machines.Turn(ctx, machine, to); err != nil {
					return fmt.Errorf("%q: %w", step.Target, err)
				}
			}
			return nil
		})
	})
}

// revive waits for the health of a cluster whose machines were started, and adds its client contexts anew: an engine that
// chooses the host's ports chose others.
func (w *work) revive(ctx context.Context, name string) (Result, error) {
	record, err := w.Store.Load(name)
	if errors.Is(err, ErrNotFound) {
		return w.result(), nil
	}
	if err != nil {
		return w.result(), err
	}
	w.record = record
	observed, err := w.Provider.Observe(ctx, name)
	if err != nil {
		return w.result(), err
	}
	for _, machine := range record.Cluster.machineNames() {
		if !observed.runs(machine) {
			err := fmt.Errorf("%q is not there or does not run", machine)
			return w.result(), WithHint(err, "run the same bronze cluster create again: it repairs what is missing")
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.patience(), fmt.Errorf("no more patience after %s", w.patience()))
	defer cancel()
	access := AccessOf(record, observed)
	if !w.Hasty {
		if err := w.health(ctx, access, revived); err != nil {
			return w.result(), err
		}
	}
	err = w.addContexts(ctx, access)
	result := w.result()
	result.Access = access
	return result, err
}
