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

// rehearsal is one run of a drill.
type rehearsal struct {
	Site
	*diary
	drill  Drill
	watch  *watch
	stream *stream
	undos  []undo

	// start is the picture before the harm, before its strength.
	start  picture.Picture
	before strength
	// victims are the nodes that were harmed first, gone are the identities of all that must be forgotten.
	victims []picture.Node
	gone    []identity
	harmed  time.Time
	// recovered is from when on the cluster may count as strong, where the picture cannot tell; zero otherwise.
	recovered time.Time
	// relieved tells that etcd was given room again.
	relieved bool
	// over ends harm that lasts; nil where none does.
	over func(context.Context) error
	// shown is how the harm is seen, where it is not by Drill.Shows.
	shown func(ctx context.Context) (bool, error)

	checks []Check
	times  Times
}

// undo is something to put back, which may have been put back already.
type undo struct {
	what string
	do   func(ctx context.Context) error
}

// planned is a stage with the most time that it may take.
type planned struct {
	stage    Stage
	patience time.Duration
	do       func(ctx context.Context, waiting func(string)) error
}

// stages leaves out what a drill has nothing to do in.
func (r *rehearsal) stages() []planned {
	return slices.DeleteFunc([]planned{
		{StageCanary, 3 * time.Minute, r.plant},
		{StageSteady, time.Minute, r.steady},
		{StageHarm, 3 * time.Minute, r.harm},
		{StageDetect, time.Minute, r.detect},
		{StageHold, r.drill.Hold + time.Minute, r.hold},
		{StageCure, 10 * time.Minute, r.cure},
		{StageClean, time.Minute, r.clean},
		{StageStrong, 4 * time.Minute, r.strong},
		{StageCheck, 2 * time.Minute, r.check},
	}, func(p planned) bool {
		return p.stage == StageHold && r.drill.Hold == 0 || p.stage == StageClean && !r.drill.Act.loses() ||
			p.stage == StageCure && r.drill.Cure == Nothing && r.drill.Act != KillProcess
	})
}

const putBackPatience = 5 * time.Minute

// errInterrupted is the reason of a drill that was ended from outside.
var errInterrupted = errors.New("interrupted")

// Run rehearses one drill on a cluster, and puts back what it did, also when ctx ends.
func (s Site) Run(ctx context.Context, drill Drill) Run {
	r := &rehearsal{Site: s, drill: drill, diary: newDiary(drill.Name, s.Progress)}
	r.watch = look(context.WithoutCancel(ctx), s.Eye)
	var failed error
	for _, stage := range r.stages() {
		if failed = r.perform(ctx, stage); failed != nil {
			break
		}
	}
	back := r.stage(StagePutBack, func(func(string)) error { return r.putBack(ctx) })
	r.demand("everything is put back", back)
	r.watch.end()
	return r.result(failed)
}

func (r *rehearsal) perform(ctx context.Context, stage planned) error {
	limited, cancel := context.WithTimeoutCause(ctx, stage.patience, fmt.Errorf("no more patience after %s", stage.patience))
	defer cancel()
	err := r.stage(stage.stage, func(waiting func(string)) error { return stage.do(limited, waiting) })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errInterrupted
	default:
		return fmt.Errorf("%s: %w", stage.stage, err)
	}
}

// later registers what is to be put back at the end, last first.
func (r *rehearsal) later(what string, do func(ctx context.Context) error) {
	r.undos = append(r.undos, undo{what, do})
}

// putBack undoes all that was done, also where something of it fails.
func (r *rehearsal) putBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackPatience)
	defer cancel()
	var failures []error
	for i := len(r.undos) - 1; i >= 0; i-- {
		if err := r.undos[i].do(ctx); err != nil {
			failures = append(failures, fmt.Errorf("cannot %s: %w", r.undos[i].what, err))
		}
	}
	return errors.Join(failures...)
}

// demand keeps a check that held, or why it did not.
func (r *rehearsal) demand(what string, err error) {
	check := Check{What: what, Held: err == nil}
	if err != nil {
		check.Evidence = err.Error()
	}
	r.checks = append(r.checks, check)
}

// demandThat is demand with evidence for both.
func (r *rehearsal) demandThat(what string, held bool, format string, args ...any) {
	r.checks = append(r.checks, Check{What: what, Held: held, Evidence: fmt.Sprintf(format, args...)})
}

// result is the verdict with all that led to it.
func (r *rehearsal) result(failed error) Run {
	run := Run{
		Name: r.drill.Name, Rehearses: r.drill.Rehearses, Act: r.drill.Act, Whom: r.drill.Whom, Cure: r.drill.Cure,
		Cluster: r.Cluster, Shape: shapeOf(r.start), Verdict: Passed,
		Began: r.began, Seconds: seconds(time.Since(r.began)),
		Victims: names(r.victims), Checks: r.checks, Phases: r.phases, Events: r.events,
		Lanes: r.watch.lanes(r.began), Times: r.times,
	}
	if r.stream != nil {
		run.Writes = r.stream.sum(r.began)
	}
	if !r.harmed.IsZero() {
		harmed := r.at(r.harmed)
		run.HarmedAt = &harmed
	}
	run.Reason = reason(failed, r.checks)
	if run.Reason != "" {
		run.Verdict = Failed
	}
	return run
}

func shapeOf(p picture.Picture) Shape {
	return Shape{ControlPlanes: len(ofRole(p, provision.ControlPlane)), Workers: len(ofRole(p, provision.Worker))}
}

// reason joins what failed; it is empty where all held.
func reason(failed error, checks []Check) string {
	var why []string
	if failed != nil {
		why = append(why, failed.Error())
		for _, hint := range provision.Hints(failed) {
			why = append(why, "try: "+hint)
		}
	}
	for _, check := range checks {
		if !check.Held {
			why = append(why, strings.TrimSuffix("does not hold: "+check.What+": "+check.Evidence, ": "))
		}
	}
	return strings.Join(why, "; ")
}
