package provision

import (
	"context"
	"fmt"
	"time"
)

// guardInterval is how soon a create sees that a node it waits for has died.
const guardInterval = time.Second

// guarded runs wait and ends it as soon as one of the nodes does not run any more: waiting for the dead only ends with
// the user's patience.
func (w *work) guarded(ctx context.Context, nodes []Node, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.guard(ctx, nodes, cancel)
	}()
	err := wait(ctx)
	cancel(nil)
	<-ended
	return err
}

func (w *work) guard(ctx context.Context, nodes []Node, died context.CancelCauseFunc) {
	ticker := time.NewTicker(guardInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// An engine that does not answer is the waiter's to report, in its own words.
		observed, err := w.Provider.Observe(ctx, w.record.Cluster.Name)
		if err != nil {
			continue
		}
		for _, node := range nodes {
			if !observed.runs(node.Name) {
				died(w.obituary(ctx, node.Name))
				return
			}
		}
	}
}

// obituary is the error of a node that has died, with what it printed at the end where the provider knows that.
func (w *work) obituary(ctx context.Context, node string) error {
	witness, ok := w.Provider.(Witness)
	if !ok {
		return fmt.Errorf("node %q does not run any more", node)
	}
	words, err := witness.LastWords(ctx, node)
	if err != nil {
		return fmt.Errorf("node %q does not run any more, and cannot say why: %w", node, err)
	}
	return fmt.Errorf("node %q does not run any more; it said last:\n%s", node, words)
}
