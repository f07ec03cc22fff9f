package balance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// checkEager is the shortest time between two looks while no upstream is fit, as when a node boots. It grows to
	// checkSteady, by no more than a part in eagerShare of the time waited, so that looking costs neither a booting
	// node time nor an idle one processor.
	checkEager = 50 * time.Millisecond
	eagerShare = 20

	// checkSteady is from one look to the next while an upstream is fit.
	checkSteady = time.Second

	// checkLimit bounds one look. An upstream on this machine that is alive answers within it, and a dead one, whose
	// address nobody has any more, is told by it.
	checkLimit = time.Second

	// missesLost is how many looks in a row an upstream must miss to lose the connections it has: one miss may be a
	// busy machine, and cutting everything then makes it busier.
	missesLost = 2
)

// Check asks the upstreams whether they are fit, over and over, until ctx ends.
func (b *Balancer) Check(ctx context.Context) {
	var found standing

	usable := time.Now()

	for {
		began := time.Now()
		found = judge(found, b.survey(ctx))
		b.publish(found)

		if len(found.usable) > 0 {
			usable = time.Now()
		}

		renewed, err := b.rest(ctx, pauseAfter(len(found.usable) > 0, time.Since(began), time.Since(usable)))
		if err != nil {
			return
		}

		if renewed {
			usable = time.Now()
		}
	}
}

// pauseAfter is how long to wait after a look that took so long; waited is the time since an upstream was fit.
func pauseAfter(fit bool, took, waited time.Duration) time.Duration {
	if fit {
		return max(checkSteady-took, checkEager)
	}

	return min(max(waited/eagerShare, checkEager), checkSteady)
}

// rest is a pause that Renew cuts short.
func (b *Balancer) rest(ctx context.Context, length time.Duration) (renewed bool, err error) {
	timer := time.NewTimer(length)
	defer timer.Stop()

	select {
	case <-timer.C:
		return false, nil
	case <-b.renewed:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// pause lasts that long, or ends with ctx.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()

	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// verdict is what one look at an upstream found.
type verdict struct {
	upstream string
	err      error
}

// survey looks at all upstreams side by side, so that a dead one does not delay the news of the others.
func (b *Balancer) survey(ctx context.Context) []verdict {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()

	upstreams := b.upstreams()
	verdicts := make([]verdict, len(upstreams))

	var looking sync.WaitGroup

	for i, upstream := range upstreams {
		looking.Go(func() { verdicts[i] = verdict{upstream, b.fit(ctx, upstream)} })
	}

	looking.Wait()

	return verdicts
}

// standing is what is known of the upstreams after a survey.
type standing struct {
	// usable are those that get connections, in the order of the upstreams.
	usable []string
	// misses counts for every upstream the looks in a row that it did not answer.
	misses map[string]int
	// reason tells why none is fit.
	reason error
}

// judge draws from a survey, and from what was known before, how the upstreams stand.
func judge(before standing, verdicts []verdict) standing {
	after := standing{misses: map[string]int{}, reason: errors.New("there is no upstream")}

	var weak []string

	for _, v := range verdicts {
		switch {
		case v.err == nil:
			after.usable = append(after.usable, v.upstream)
			after.misses[v.upstream] = 0

			continue
		case errors.Is(v.err, ErrWeak):
			weak = append(weak, v.upstream)
			after.misses[v.upstream] = 0
		default:
			after.misses[v.upstream] = before.misses[v.upstream] + 1
		}

		after.reason = fmt.Errorf("%s: %w", v.upstream, v.err)
	}

	if len(after.usable) == 0 {
		after.usable = weak
	}

	return after
}

// lost tells whether the connections of an upstream are better closed: it is dead or no upstream any more, and another
// is there to turn to.
func (s standing) lost(upstream string) bool {
	misses, known := s.misses[upstream]

	return len(s.usable) > 0 && (!known || misses >= missesLost)
}
