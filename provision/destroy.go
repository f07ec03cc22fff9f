package provision

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// destroyRounds bounds how often Destroy removes again what was made or in use meanwhile.
	destroyRounds = 10
	// settleTime is how long Destroy watches for what an engine may still be making for a create that was killed: an
	// engine does not end a request when the one who asked dies.
	settleTime = time.Second
	// settleInterval is between two looks.
	settleInterval = 100 * time.Millisecond
)

// Destroy takes away all that bears the cluster's labels, its client contexts and its state, whichever of them are
// there. ErrNotFound where nothing is in the engine and nothing stored.
func (r *Reconciler) Destroy(ctx context.Context, name string) (Result, error) {
	if err := CheckName(name); err != nil {
		return Result{}, err
	}
	var result Result
	err := r.Store.Held(name, func() (err error) {
		result, err = r.destroy(ctx, name)
		return err
	})
	if err != nil {
		return result, fmt.Errorf("destroying cluster %q: %w", name, err)
	}
	return result, nil
}

func (r *Reconciler) destroy(ctx context.Context, name string) (Result, error) {
	w := r.begin()
	observed, err := r.Provider.Observe(ctx, name)
	if err != nil {
		return w.result(), err
	}
	// First of all, so that no entry outlives its cluster when this is interrupted.
	if r.Contexts != nil {
		if err := r.Contexts.Remove(ctx, name); err != nil {
			return w.result(), err
		}
	}
	if observed.Empty() && !r.Store.Has(name) {
		return w.result(), WithHint(ErrNotFound, "bronze cluster list shows those that are there")
	}
	if err := w.removeAll(ctx, name, observed); err != nil {
		return w.result(), err
	}
	return w.result(), r.Store.Remove(name)
}

func (w *work) removeAll(ctx context.Context, name string, observed Observed) error {
	quiet := time.Now()
	if w.unfinished(name, observed) {
		quiet = quiet.Add(settleTime)
	}
	for range destroyRounds {
		observed, err := w.look(ctx, name, quiet)
		if err != nil || observed.Empty() {
			return err
		}
		steps := Plan(nil, observed)
		w.steps = append(w.steps, steps...)
		// A volume is in use while the engine still makes the container that is to have it.
		if err := w.remove(ctx, steps, observed); err != nil && !time.Now().Before(quiet) {
			return err
		}
	}
	return errors.New("cannot finish: parts of it keep coming back")
}

// look observes until something of the cluster is seen, or until nothing was by the time quiet.
func (w *work) look(ctx context.Context, name string, quiet time.Time) (Observed, error) {
	for {
		observed, err := w.Provider.Observe(ctx, name)
		if err != nil || !observed.Empty() || !time.Now().Before(quiet) {
			return observed, err
		}
		if err := pause(ctx, settleInterval); err != nil {
			return observed, err
		}
	}
}

// unfinished tells whether the stored cluster has parts that are not seen.
func (w *work) unfinished(name string, observed Observed) bool {
	record, err := w.Store.Load(name)
	if err != nil {
		return false
	}
	for _, name := range record.Cluster.machineNames() {
		if len(observed.ofNode(name).all()) == 0 {
			return true
		}
	}
	return len(observed.Networks) == 0
}

// pause ends early, with an error, when ctx does.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (w *work) remove(ctx context.Context, steps []Step, observed Observed) error {
	return Schedule(ctx, steps, func(ctx context.Context, step Step) error {
		return w.Run(step.phase(), step.String(), func(func(string)) error {
			part := observed.ofNode(step.Target)
			if step.Action == RemoveNetwork {
				part = observed.ofNetwork(step.Target)
			}
			if err := w.Provider.Remove(ctx, part); err != nil {
				return fmt.Errorf("removing %q: %w", step.Target, err)
			}
			return nil
		})
	})
}
