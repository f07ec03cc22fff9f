package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bronze-os/bronze/images/machined/internal/ring"
)

const (
	eventsKept = 32
	// A crash soon after the start doubles the pause before the next, from minPause to maxPause; a service that ran
	// for steadyAfter starts over at minPause. The first pause is short because most failures of a booting node are a
	// neighbour that is not up yet.
	minPause    = 100 * time.Millisecond
	maxPause    = 5 * time.Second
	steadyAfter = 10 * time.Second

	// Health is asked often until it is good for the first time, then rarely, to keep an idle node idle.
	healthEager  = 100 * time.Millisecond
	healthSteady = 5 * time.Second
	healthLimit  = 3 * time.Second
)

type runner struct {
	spec   Spec
	log    *ring.Buffer
	notify func()

	mu     sync.Mutex
	status Status
	// cancel and done belong to the run under way; both are nil while there is none.
	cancel context.CancelFunc
	done   chan struct{}
}

func newRunner(spec Spec, log *ring.Buffer, notify func()) *runner {
	return &runner{
		spec:   spec,
		log:    log,
		notify: notify,
		status: Status{ID: spec.ID, State: Initialized, Health: Health{Unknown: true}, Checked: spec.Healthy != nil},
	}
}

// Status copies out where the service stands.
func (r *runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()

	status := r.status
	status.Events = slices.Clone(status.Events)

	return status
}

func (r *runner) start(parent context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.cancel != nil {
		return
	}

	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	r.cancel, r.done = cancel, done

	go func() {
		defer close(done)
		r.supervise(ctx)
	}()
}

func (r *runner) stop(ctx context.Context) error {
	r.mu.Lock()
	cancel, done := r.cancel, r.done
	r.mu.Unlock()

	if cancel == nil {
		return nil
	}

	r.transition(Stopping, "stopping")
	cancel()

	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("stopping %s: %w", r.spec.ID, ctx.Err())
	}

	r.mu.Lock()
	if r.done == done {
		r.cancel, r.done = nil, nil
	}
	r.mu.Unlock()

	return nil
}

// supervise runs the service over and over until ctx ends.
func (r *runner) supervise(ctx context.Context) {
	pause := minPause

	for {
		started := time.Now()
		err := r.once(ctx)

		if ctx.Err() != nil {
			r.transition(Finished, "stopped")
			return
		}

		if time.Since(started) > steadyAfter {
			pause = minPause
		}

		r.transition(Failed, fmt.Sprintf("%v; starting again in %s", endOf(err), pause))

		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}

		pause = min(2*pause, maxPause)
	}
}

func endOf(err error) error {
	if err == nil {
		return errors.New("ended by itself")
	}

	return err
}

func (r *runner) once(ctx context.Context) error {
	r.transition(Waiting, "waiting")

	if r.spec.Wait != nil {
		if err := r.spec.Wait(ctx, func(why string) { r.transition(Waiting, why) }); err != nil {
			return err
		}
	}

	if r.spec.Prepare != nil {
		r.transition(Preparing, "preparing")

		if err := r.spec.Prepare(ctx); err != nil {
			return err
		}
	}

	r.transition(Running, "started")

	ctx, cancel := context.WithCancel(ctx)
	checked := make(chan struct{})

	go func() {
		defer close(checked)
		r.watchHealth(ctx)
	}()

	err := r.spec.Run(ctx, r.log)

	cancel()
	<-checked

	return err
}

func (r *runner) watchHealth(ctx context.Context) {
	if r.spec.Healthy == nil {
		return
	}

	for interval := healthEager; ; {
		if r.check(ctx) {
			interval = healthSteady
		}

		select {
		case <-time.After(interval):
		case <-ctx.Done():
			r.setHealth(Health{Unknown: true})
			return
		}
	}
}

func (r *runner) check(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()

	err := r.spec.Healthy(limited)
	if ctx.Err() != nil {
		return false
	}

	health := Health{Healthy: err == nil}
	if err != nil {
		health.Message = err.Error()
	}

	r.setHealth(health)

	return health.Healthy
}

func (r *runner) setHealth(health Health) {
	r.mu.Lock()

	now := r.status.Health
	same := now.Unknown == health.Unknown && now.Healthy == health.Healthy && now.Message == health.Message

	if !same {
		health.Changed = time.Now()
		r.status.Health = health
	}
	r.mu.Unlock()

	if !same {
		r.notify()
	}
}

// transition is the one place where a state changes. A repeated one is not an event.
func (r *runner) transition(state State, message string) {
	r.mu.Lock()

	last := len(r.status.Events) - 1
	if last >= 0 && r.status.Events[last].State == state && r.status.Events[last].Message == message {
		r.mu.Unlock()
		return
	}

	r.status.State = state
	r.status.Events = append(r.status.Events, Event{Time: time.Now(), State: state, Message: message})
	r.status.Events = r.status.Events[max(0, len(r.status.Events)-eventsKept):]
	r.mu.Unlock()

	r.notify()
}
