package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// Runner does plans to clusters. It asks again, right before each step, what the step's plan was made of:
//
//	err := store.Held(name, func() error {
//		record, err := store.Load(name)
//		...
//		result, err := runner.Do(ctx, record, plan)
//		...
//	})
//
// A plan whose Do ended early, in whatever way, is not gone on with: who runs the command again looks and plans anew, and
// finds what is left to do.
type Runner struct {
	Engine    Engine
	Store     *provision.Store
	Connector Connector
	// Contexts may be nil: then no client context is touched.
	Contexts provision.Contexts
	// Progress may be nil.
	Progress provision.Progress
	// Patience bounds the waiting for a node to be Ready, or to vote; 0 means provision.DefaultPatience.
	Patience time.Duration
	// DrainPatience bounds the waiting for pods to leave a node; 0 means DefaultDrainPatience.
	DrainPatience time.Duration
}

// DefaultDrainPatience is how long pods may take to leave a node.
const DefaultDrainPatience = 2 * time.Minute

// Result is what was done of a plan.
type Result struct {
	// Record is the cluster as it is stored now.
	Record provision.Record
	// Timings tell how long each phase took, in the order in which the phases began.
	Timings []provision.Timing
}

// doing is one plan that is done.
type doing struct {
	*Runner
	*provision.Recorder
	plan Plan
	apis *apis

	// mu is held by whoever changes the record, from reading it until it is stored and the balancer knows of it.
	mu     sync.Mutex
	record provision.Record
}

// Do does the steps of a plan to the cluster of that record: each once those that it comes after are done, all others side
// by side. A step that fails keeps those after it from being done, and no others. The caller holds the cluster's lock.
func (r *Runner) Do(ctx context.Context, record provision.Record, plan Plan) (Result, error) {
	d := &doing{Runner: r, Recorder: provision.NewRecorder(r.Progress), plan: plan, record: record}
	d.apis = &apis{open: d.connect}
	defer d.apis.reset()
	err := provision.Schedule(ctx, plan.Steps, func(ctx context.Context, step Step) error {
		return d.Run(step.phase(), step.String(), func(waiting func(string)) error {
			if err := d.act(ctx, step, waiting); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
			return nil
		})
	})
	return Result{Record: d.current(), Timings: d.Timings()}, err
}

// current is the record as it is now.
func (d *doing) current() provision.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.record
}

// phase is where the step's time is counted.
func (s Step) phase() provision.Phase {
	switch s.Action {
	case Drain:
		return provision.PhaseDrain
	case TakeSnapshot, LeaveEtcd, RemoveMember, AwaitVoter, RecoverEtcd:
		return provision.PhaseEtcd
	case Desire, CreateBalancer, CreateMachine, StartMachine, Settle:
		return provision.PhaseNodes
	case AwaitReady, RestartMachine:
		return provision.PhaseReady
	case Verify:
		return provision.PhaseVerify
	default:
		return provision.PhaseRemove
	}
}

func (r *Runner) patience() time.Duration {
	if r.Patience > 0 {
		return r.Patience
	}
	return provision.DefaultPatience
}

func (r *Runner) drainPatience() time.Duration {
	if r.DrainPatience > 0 {
		return r.DrainPatience
	}
	return DefaultDrainPatience
}
