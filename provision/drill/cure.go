package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// cure does what the drill says that a user would.
func (r *rehearsal) cure(ctx context.Context, waiting func(string)) error {
	switch r.drill.Cure {
	case Nothing:
		return r.awaitProcess(ctx, waiting)
	case Replace, Resurrect:
		return r.reconcile(ctx)
	case Start:
		return r.startAgain(ctx, waiting)
	case Disarm:
		return r.disarm(ctx, waiting)
	case Rerun:
		return r.killAtEachStep(ctx, waiting)
	default:
		return fmt.Errorf("cannot cure by %s: %w", r.drill.Cure, errors.ErrUnsupported)
	}
}

func (r *rehearsal) reconcile(ctx context.Context) error {
	steps, err := r.Healer.Reconcile(ctx, r.drill.Cure)
	if err != nil {
		return err
	}
	r.note("%s did %s", r.drill.Cure, count(steps, "step"))
	return nil
}

// awaitProcess waits for the next process of a service whose process was killed: Kubernetes and etcd may have missed
// neither.
func (r *rehearsal) awaitProcess(ctx context.Context, waiting func(string)) error {
	if r.drill.Act != KillProcess {
		return nil
	}
	err := poll(ctx, waiting, func(ctx context.Context) (string, error) {
		now, err := r.Guest.Incarnation(ctx, nodeOf(r.victims[0]), r.drill.Process)
		if now == "" {
			return r.drill.Process + " does not run", err
		}
		return "", err
	})
	r.recovered = time.Now()
	return err
}

// byItself is how long a cluster may take to come back with its engine before it is helped.
const byItself = 20 * time.Second

// startAgain waits whether the cluster comes back with its engine, and starts it otherwise. Which it was is told.
func (r *rehearsal) startAgain(ctx context.Context, waiting func(string)) error {
	limited, cancel := context.WithTimeoutCause(ctx, byItself, errors.New("it does not come back by itself"))
	defer cancel()
	_, err := r.watch.await(limited, time.Now(), r.before.whyWeaker, waiting)
	switch {
	case err == nil:
		r.note("the cluster is healthy again by itself")
		return nil
	case ctx.Err() != nil:
		return err
	}
	r.note("the cluster is not back by itself (%v): bronze cluster start", err)
	return r.Healer.Start(ctx)
}

// fillEtcd leaves etcd little room, and takes it.
func (r *rehearsal) fillEtcd(ctx context.Context, waiting func(string)) error {
	r.later("give etcd its quota back", r.Guest.Unbound)
	r.later("take the ballast and the alarms away", r.relieve)
	if err := r.Guest.Bound(ctx, boundBytes); err != nil {
		return fmt.Errorf("bounding etcd: %w", err)
	}
	if _, err := r.watch.await(ctx, time.Now(), whyNotWhole, waiting); err != nil {
		return err
	}
	r.note("etcd has room for %d MiB", boundBytes>>20)
	r.shown = func(context.Context) (bool, error) {
		samples, _ := r.watch.since(r.harmed)
		return len(samples) > 0 && slices.Contains(alarmsOf(samples[len(samples)-1].picture), "NOSPACE"), nil
	}
	return r.fillUp(ctx)
}

const (
	// boundBytes is etcd's quota in this drill: a fresh cluster takes less than half of it.
	boundBytes = 32 << 20
	// ballastBytes is what one act of filling stores: a Kubernetes object may have up to 1 MiB.
	ballastBytes = 900 << 10
)

// fillUp stores ballast until that is refused.
func (r *rehearsal) fillUp(ctx context.Context) error {
	for stored := 0; stored <= 2*boundBytes; stored += ballastBytes {
		err := r.Canary.Fill(ctx, ballastBytes)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			continue
		}
		r.harmed = time.Now()
		_, read := r.Canary.Written(ctx)
		r.demand("reads still work", read)
		r.demandThat("writes are refused with a reason", isNoSpace(err), "%v", err)
		return nil
	}
	return fmt.Errorf("cannot fill etcd: it took %d MiB over a quota of %d", 2*boundBytes>>20, boundBytes>>20)
}

// disarm is the way that etcd's own documentation names: make room, then take the alarm back.
func (r *rehearsal) disarm(ctx context.Context, waiting func(string)) error {
	if err := r.relieve(ctx); err != nil {
		return err
	}
	if err := r.Guest.Unbound(ctx); err != nil {
		return fmt.Errorf("giving etcd its quota back: %w", err)
	}
	_, err := r.watch.await(ctx, time.Now(), func(p picture.Picture) string { return strings.Join(alarmsOf(p), ", ") }, waiting)
	r.demand("no alarm is left", err)
	return nil
}

// alarmsOf are those that the members tell of.
func alarmsOf(p picture.Picture) []string {
	var alarms []string
	for _, node := range p.Nodes {
		if node.Answer != nil {
			alarms = append(alarms, node.Answer.Alarms...)
		}
	}
	return alarms
}

// relieve takes the ballast away, once. Deleting needs no room.
func (r *rehearsal) relieve(ctx context.Context) error {
	if r.relieved {
		return nil
	}
	err := errors.Join(r.Canary.Empty(ctx), r.Guest.Compact(ctx))
	r.relieved = err == nil
	return err
}

// vanishDuringAdd deletes the victim as soon as the machine of the added worker is there.
func (r *rehearsal) vanishDuringAdd(ctx context.Context, waiting func(string)) error {
	added := make(chan error, 1)
	go func() { added <- r.Healer.Add(ctx, 1) }()
	r.later("take the added worker away", r.removeAdded)
	more := func(p picture.Picture) string {
		if len(machinesOf(p.Nodes)) <= len(r.start.Nodes) {
			return "the added worker has no machine yet"
		}
		return ""
	}
	_, err := r.watch.await(ctx, time.Now(), more, waiting)
	if err == nil {
		r.note("the added worker has a machine")
		r.harmed = time.Now()
		err = r.vanish(ctx)
	}
	// What adds holds the cluster's lock and ends with ctx: it is waited for in every case.
	err = errors.Join(err, <-added)
	r.demand("the add ends well all the same", err)
	r.before.workers++
	return err
}

// removeAdded leaves as many workers as there were, the oldest of them.
func (r *rehearsal) removeAdded(ctx context.Context) error {
	s := take(ctx, r.Eye)
	workers := names(ofRole(s.picture, provision.Worker))
	surplus := len(workers) - len(ofRole(r.start, provision.Worker))
	if s.err != nil || surplus <= 0 {
		return s.err
	}
	return r.Healer.Remove(ctx, workers[len(workers)-surplus:])
}

// stepsKnown bounds how many steps a reconcile of one worker may have.
const stepsKnown = 40

// killAtEachStep kills the reconciler at its first step, then at its second with another worker gone, and so on, until it
// ends before it is killed. Run again, it must come to the same end each time.
func (r *rehearsal) killAtEachStep(ctx context.Context, waiting func(string)) error {
	for n := 1; n <= stepsKnown; n++ {
		finished, err := r.Healer.ReconcileDying(ctx, Replace, n)
		if err != nil {
			return fmt.Errorf("killing reconcile at step %d: %w", n, err)
		}
		if finished {
			r.demandThat("reconcile converges from each of its steps", n > 1, "killed at each of %s and run again", count(n-1, "step"))
			return nil
		}
		if err := r.runAgain(ctx, n); err != nil {
			return err
		}
		s, err := r.watch.await(ctx, time.Now(), r.before.whyWeaker, waiting)
		if err != nil {
			return fmt.Errorf("after a kill at step %d: %w", n, err)
		}
		if err := r.nextVictim(ctx, s.picture); err != nil {
			return err
		}
	}
	return fmt.Errorf("reconcile had more than %d steps for one worker", stepsKnown)
}

// rerunsAllowed is how often reconcile may be run again after a kill. Once does, unless the engine goes on with what the
// killed one had asked for: then the second finds the world in motion, and stops rather than acts on what it saw.
const rerunsAllowed = 3

func (r *rehearsal) runAgain(ctx context.Context, killedAt int) error {
	for run := 1; ; run++ {
		steps, err := r.Healer.Reconcile(ctx, Replace)
		switch {
		case err == nil:
			r.note("killed at step %d; run again it did %s", killedAt, count(steps, "step"))
			return nil
		case ctx.Err() != nil || run == rerunsAllowed:
			return fmt.Errorf("reconciling after a kill at step %d: %w", killedAt, err)
		}
		r.note("killed at step %d; run again it stopped: %v", killedAt, err)
	}
}

// nextVictim deletes the newest worker, so that the canary's other pods stay where they are.
func (r *rehearsal) nextVictim(ctx context.Context, p picture.Picture) error {
	next, err := LastWorker.pick(p)
	if err != nil {
		return err
	}
	r.remember(next[0])
	return r.Hand.Vanish(ctx, *next[0].Machine, true)
}
