package provision

import (
	"context"
	"errors"
	"sync"
)

// parallel is how many steps are done side by side: enough for an engine on a small machine.
const parallel = 8

// errSkipped is the outcome of a step whose forerunner failed; that one's error tells the tale.
var errSkipped = errors.New("skipped")

// Ordered is a step of a plan.
type Ordered interface {
	// Forerunners are the indexes of the earlier steps that must be done first.
	Forerunners() []int
}

// Schedule does every step once those it comes after are done, up to parallel at a time, and waits for all. A failed
// step stops those that come after it, and no others. It joins the errors of the steps that failed.
func Schedule[S Ordered](ctx context.Context, steps []S, act func(context.Context, S) error) error {
	outcomes := make([]error, len(steps))
	done := make([]chan struct{}, len(steps))
	for i := range done {
		done[i] = make(chan struct{})
	}
	slots := make(chan struct{}, parallel)
	var group sync.WaitGroup
	for i, step := range steps {
		group.Go(func() {
			defer close(done[i])
			if outcomes[i] = forerunners(step, done, outcomes); outcomes[i] != nil {
				return
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			outcomes[i] = act(ctx, step)
		})
	}
	group.Wait()
	return joinOutcomes(outcomes)
}

// forerunners waits for the steps that come before one. They always end, as act heeds its context.
func forerunners(step Ordered, done []chan struct{}, outcomes []error) error {
	for _, i := range step.Forerunners() {
		<-done[i]
		if outcomes[i] != nil {
			return errSkipped
		}
	}
	return nil
}

func joinOutcomes(outcomes []error) error {
	var errs []error
	for _, err := range outcomes {
		if err != nil && !errors.Is(err, errSkipped) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
