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
	"github.com/bronze-os/bronze/provision/reconcile"
)

// plant finds the cluster whole, and puts the canary on it.
func (r *rehearsal) plant(ctx context.Context, waiting func(string)) error {
	healthy, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("a drill begins with a healthy cluster"))
	defer cancel()
	s, err := r.watch.await(healthy, r.began, whyNotWhole, waiting)
	if err != nil {
		return provision.WithHint(err, fmt.Sprintf("bronze cluster reconcile %s", r.Cluster))
	}
	if why := r.drill.Needs.Misfit(Shape{len(ofRole(s.picture, provision.ControlPlane)), len(ofRole(s.picture, provision.Worker)), true}); why != "" {
		return errors.New(why)
	}
	r.start, r.before = s.picture, strengthOf(s.picture)
	r.later("take the canary away", r.Canary.Uproot)
	return r.Canary.Plant(ctx, perches(s.picture))
}

// perches are the nodes for the canary's pods: the workers, or the control planes where they take workloads.
func perches(p picture.Picture) []string {
	if workers := ofRole(p, provision.Worker); len(workers) > 0 {
		return names(workers)
	}
	return names(ofRole(p, provision.ControlPlane))
}

// enough is how many writes in a row show that writing works: two seconds of them.
const enough = 50

// steady starts the stream of writes and waits until it flows.
func (r *rehearsal) steady(ctx context.Context, waiting func(string)) error {
	r.stream = write(context.WithoutCancel(ctx), r.Canary)
	r.later("end the writes", func(context.Context) error { r.stream.end(); return nil })
	return r.awaitWrites(ctx, waiting)
}

// awaitWrites waits until enough more writes are acknowledged.
func (r *rehearsal) awaitWrites(ctx context.Context, waiting func(string)) error {
	had, _ := r.stream.counts()
	return poll(ctx, waiting, func(context.Context) (string, error) {
		if now, _ := r.stream.counts(); now < had+enough {
			return fmt.Sprintf("%d of %d writes are acknowledged", now-had, enough), nil
		}
		return "", nil
	})
}

// detect waits until the harm shows, and measures that.
func (r *rehearsal) detect(ctx context.Context, waiting func(string)) error {
	if r.shown != nil {
		return r.detectAside(ctx, waiting)
	}
	s, err := r.watch.await(ctx, r.harmed, r.whyNotShown, waiting)
	if err != nil {
		return err
	}
	r.times.Detect = r.sinceHarm(s.at)
	r.note("the picture shows %s as %s", strings.Join(names(r.victims), ", "), r.drill.Shows)
	return nil
}

// detectAside is detect where another than the picture is asked.
func (r *rehearsal) detectAside(ctx context.Context, waiting func(string)) error {
	return poll(ctx, waiting, func(ctx context.Context) (string, error) {
		seen, err := r.shown(ctx)
		if err != nil || !seen {
			return "nothing of it is seen yet", err
		}
		r.times.Detect = r.sinceHarm(time.Now())
		r.note("the harm is seen")
		return "", nil
	})
}

// whyNotShown names a victim that the picture does not show in its state yet. One that is in no picture is missing.
func (r *rehearsal) whyNotShown(p picture.Picture) string {
	for _, victim := range r.victims {
		i := slices.IndexFunc(p.Nodes, func(n picture.Node) bool { return n.Name == victim.Name })
		if i < 0 || p.Nodes[i].State != r.drill.Shows {
			return victim.Name + " is not shown as " + string(r.drill.Shows)
		}
	}
	return ""
}

// hold lets harm last, has reconcile prove that it leaves the victims alone, and ends it.
func (r *rehearsal) hold(ctx context.Context, _ func(string)) error {
	wait := time.NewTimer(time.Until(r.harmed.Add(r.drill.Hold)))
	defer wait.Stop()
	if r.drill.Untouched {
		steps, err := r.Healer.Reconcile(ctx, Replace)
		if err != nil && !errors.Is(err, reconcile.ErrRefused) {
			return fmt.Errorf("reconciling meanwhile: %w", err)
		}
		r.demandThat("reconcile leaves the victim alone", steps == 0, "it did %s", count(steps, "step"))
	}
	select {
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.note("the harm ends")
	return r.over(ctx)
}

// clean waits until no source knows what is gone.
func (r *rehearsal) clean(ctx context.Context, waiting func(string)) error {
	_, at, err := r.watch.settled(ctx, r.harmed, func(p picture.Picture) string { return traces(p, r.gone) }, waiting)
	if err != nil {
		return err
	}
	r.times.Clean = r.fromHarm(at)
	r.demandThat("no source knows the victim any more", true, "engine, Kubernetes, discovery and etcd answer without")
	stranded, err := r.Canary.Stranded(ctx, names(r.victims))
	if err != nil {
		return err
	}
	r.demandThat("no pod is bound to the victim any more", len(stranded) == 0, "bound: %s", listed(stranded))
	return nil
}

// strong waits for the strength of before.
func (r *rehearsal) strong(ctx context.Context, waiting func(string)) error {
	p, at, err := r.watch.settled(ctx, r.harmed, r.before.whyWeaker, waiting)
	if err != nil {
		return err
	}
	if at.Before(r.recovered) {
		at = r.recovered
	}
	if at, err = r.lasting(ctx, at, waiting); err != nil {
		return err
	}
	r.times.Strong = r.fromHarm(at)
	now := strengthOf(p)
	r.demandThat("as many Ready nodes and voters as before", true, "%s, %s, %s",
		count(now.controlPlanes, "control plane"), count(now.workers, "worker"), count(now.voters, "voter"))
	if r.drill.Cure == Resurrect {
		r.checkIdentity(p)
	}
	return r.replant(ctx, p)
}

// lasting waits until full strength has lasted for as long as the drill wants, and tells since when it has.
func (r *rehearsal) lasting(ctx context.Context, since time.Time, waiting func(string)) (time.Time, error) {
	for time.Since(since) < r.drill.Settle {
		_, again, err := r.watch.settled(ctx, since.Add(-time.Second), r.before.whyWeaker, waiting)
		if err != nil {
			return time.Time{}, err
		}
		since = again
		waiting(fmt.Sprintf("it has lasted for %.0f s of %s", time.Since(since).Seconds(), r.drill.Settle))
	}
	return since, nil
}

// checkIdentity finds the victims again as who they were.
func (r *rehearsal) checkIdentity(p picture.Picture) {
	for _, victim := range r.victims {
		old := identityOf(victim)
		same := slices.ContainsFunc(p.Nodes, func(n picture.Node) bool {
			now := identityOf(n)
			return n.Name == victim.Name && now.uid == old.uid && now.nodeID == old.nodeID && now.member == old.member
		})
		r.demandThat("it comes back with its name and identity", same,
			"%s, node %s, member %016x, Kubernetes UID %s", victim.Name, old.nodeID, old.member, old.uid)
	}
}

// replant gives pods new volumes whose own went with their nodes.
func (r *rehearsal) replant(ctx context.Context, p picture.Picture) error {
	var lost []string
	for _, perch := range perches(r.start) {
		if !slices.Contains(perches(p), perch) {
			lost = append(lost, perch)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	r.note("volumes of %s went with their nodes: their pods get new ones", strings.Join(lost, ", "))
	return r.Canary.Replant(ctx, lost, perches(p))
}

func (r *rehearsal) sinceHarm(at time.Time) *float64 {
	length := seconds(at.Sub(r.harmed))
	return &length
}

// fromHarm is sinceHarm for drills that do their harm once.
func (r *rehearsal) fromHarm(at time.Time) *float64 {
	if r.drill.Act == KillReconcile {
		return nil
	}
	return r.sinceHarm(at)
}

func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// pollEvery is how often what is not in the picture is asked.
const pollEvery = 100 * time.Millisecond

// poll asks until there is nothing to say why not. An error is a reason too.
func poll(ctx context.Context, waiting func(string), ask func(ctx context.Context) (why string, err error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		why, err := ask(ctx)
		if err == nil && why == "" {
			return nil
		}
		if err != nil {
			why = err.Error()
		}
		waiting(why)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", why, context.Cause(ctx))
		}
	}
}
