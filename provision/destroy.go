package provision

import (
	"context"
	"errors"
	"fmt"
)

// destroyRounds bounds how often Destroy looks again for what another hand made meanwhile.
const destroyRounds = 3

// Destroy takes away all that bears the cluster's labels, its client contexts and its state, whichever of them are
// there. ErrNotFound where nothing is in the engine and nothing stored.
func (r *Reconciler) Destroy(ctx context.Context, name string) (Result, error) {
	if err := CheckName(name); err != nil {
		return Result{}, err
	}
	var result Result
	err := r.held(name, func() (err error) {
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

func (w *work) removeAll(ctx context.Context, name string, observed Observed) (err error) {
	for range destroyRounds {
		steps := Plan(nil, observed)
		if len(steps) == 0 {
			return nil
		}
		w.steps = append(w.steps, steps...)
		if err := w.remove(ctx, steps, observed); err != nil {
			return err
		}
		if observed, err = w.Provider.Observe(ctx, name); err != nil {
			return err
		}
	}
	if len(Plan(nil, observed)) > 0 {
		return errors.New("cannot finish: parts of it keep coming back")
	}
	return nil
}

func (w *work) remove(ctx context.Context, steps []Step, observed Observed) error {
	return schedule(ctx, steps, func(ctx context.Context, step Step) error {
		return w.run(step.phase(), step.String(), func(func(string)) error {
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
