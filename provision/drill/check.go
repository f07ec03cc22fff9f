package drill

import (
	"context"
	"fmt"
	"time"
)

// check ends the stream once it flows again, and compares what was acknowledged with what is there.
func (r *rehearsal) check(ctx context.Context, waiting func(string)) error {
	if err := r.awaitWrites(ctx, waiting); err != nil {
		return err
	}
	r.stream.end()
	r.checkGap()
	if err := r.checkWrites(ctx, waiting); err != nil {
		return err
	}
	return r.checkPods(ctx, waiting)
}

func (r *rehearsal) checkGap() {
	gap := r.stream.longestGap()
	length := seconds(gap)
	r.times.Gap = &length
	if r.drill.MaxGap == 0 {
		return
	}
	limit := r.drill.MaxGap.Seconds()
	r.times.MaxGap = &limit
	r.demandThat("the API takes writes again within "+r.drill.MaxGap.String(), gap <= r.drill.MaxGap,
		"%.1f s was the longest time without one", length)
}

// checkWrites asks until it gets a list: one that is refused says nothing of what is there.
func (r *rehearsal) checkWrites(ctx context.Context, waiting func(string)) error {
	return poll(ctx, waiting, func(ctx context.Context) (string, error) {
		found, err := r.Canary.Written(ctx)
		if err != nil {
			return "", fmt.Errorf("listing what was written: %w", err)
		}
		lost := r.stream.lost(found)
		r.stream.gone = lost
		acknowledged, _ := r.stream.counts()
		r.demandThat("every acknowledged write is there", len(lost) == 0, "%d acknowledged, %d lost", acknowledged, len(lost))
		return "", nil
	})
}

// podsPatience is how long the canary's pods may take to serve their data once the cluster is whole.
const podsPatience = time.Minute

func (r *rehearsal) checkPods(ctx context.Context, waiting func(string)) error {
	limited, cancel := context.WithTimeoutCause(ctx, podsPatience, fmt.Errorf("no more patience after %s", podsPatience))
	defer cancel()
	r.demand("the canary's pods run with their data", poll(limited, waiting, r.Canary.Sing))
	return ctx.Err()
}
