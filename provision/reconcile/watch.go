package reconcile

import (
	"context"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// Report is what a Watch has to tell: a plan before it is done, or how a turn failed.
type Report struct {
	Plan *Plan
	Err  error
}

// Watch mends a cluster until ctx ends, which is no error. Events of the engine wake it, and a tick catches what causes
// none. report hears each plan and each failure, but not again what it heard last. The cluster's lock is held only while
// it works, so that other commands have their turn.
func (r *Runner) Watch(ctx context.Context, name string, policy Policy, tick time.Duration, report func(Report)) {
	w := &watch{report: report}
	quiet := *r
	quiet.Progress = w.quieten(r.Progress)
	w.mending = mending{Runner: &quiet, name: name, policy: policy, tell: w.plan}
	wake := make(chan struct{}, 1)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		r.listen(ctx, name, tick, wake)
	}()
	defer func() { <-heard }()
	for ctx.Err() == nil {
		w.outcome = Outcome{}
		wait, err := w.turn(ctx)
		if ctx.Err() != nil {
			return
		}
		w.failure(err)
		if wait == 0 || wait > tick {
			wait = tick
		}
		sleep(ctx, wake, wait)
	}
}

// breather is the least between two looks, however much happens.
const breather = time.Second

// sleep ends when something wakes it, or after that long.
func sleep(ctx context.Context, wake <-chan struct{}, length time.Duration) {
	_ = pause(ctx, breather)
	timer := time.NewTimer(length - breather)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// listen hears the engine's events until ctx ends. An engine that goes silent is listened to again a tick later: then a
// look says why it is silent, and this need not.
func (r *Runner) listen(ctx context.Context, name string, tick time.Duration, wake chan<- struct{}) {
	for ctx.Err() == nil {
		_ = r.Engine.Watch(ctx, name, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		_ = pause(ctx, tick)
	}
}

// watch is one Watch, and what it told last.
type watch struct {
	mending
	report            func(Report)
	lastPlan, lastWhy string
	// again is that the plan that is done now was told before, and so were its steps.
	again bool
}

// quieten leaves out the steps of a plan that is done again.
func (w *watch) quieten(progress provision.Progress) provision.Progress {
	return func(event provision.Event) {
		if progress != nil && !w.again {
			progress(event)
		}
	}
}

// plan tells a plan that says something, unless it is the one that was told last.
func (w *watch) plan(plan Plan) {
	text := plan.text()
	w.again = text == w.lastPlan
	w.lastPlan = text
	if w.again {
		return
	}
	if len(plan.Steps) > 0 || len(plan.Refusals) > 0 || len(plan.Notes) > 0 {
		w.report(Report{Plan: &plan})
	}
}

func (w *watch) failure(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why == w.lastWhy {
		return
	}
	w.lastWhy = why
	if err != nil {
		w.report(Report{Err: err})
	}
}

// text is what a plan says.
func (p Plan) text() string {
	var words []string
	for _, step := range p.Steps {
		words = append(words, step.String())
	}
	for _, refusal := range p.Refusals {
		words = append(words, refusal.Node+": "+refusal.Why)
	}
	return strings.Join(append(words, p.Notes...), "\n")
}
