package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// Ground is where drills take place.
type Ground interface {
	// Open makes a cluster ready to be drilled on, and tells what it has.
	Open(ctx context.Context, cluster string) (Site, Shape, error)
	// Make makes a throw-away cluster, and Destroy takes it away. What is left of a Make that failed is for Destroy too.
	Make(ctx context.Context, cluster string, shape Shape) error
	Destroy(ctx context.Context, cluster string) error
}

// Session is what a user asks for: drills to run one after the other.
type Session struct {
	Drills []Drill
	// Cluster is where; empty lets the session make and destroy clusters of its own.
	Cluster string
	// Lenient skips drills that cannot be run instead of refusing all: nobody named them one by one.
	Lenient bool
	// EngineRestart tells that there is a command for it.
	EngineRestart bool
	// Keep leaves the clusters that the session makes.
	Keep bool
}

// errNoRestart is the reason why the engine cannot be restarted.
var errNoRestart = errors.New("needs a command that restarts the engine")

const restartHint = "--engine-restart 'systemctl restart docker', or what restarts it on this host"

// Run runs the drills and says what came of each. An error means that none was run. The report's Bronze and Host are left
// to the caller.
func (s Session) Run(ctx context.Context, ground Ground) (Report, error) {
	report := Report{Began: time.Now()}
	groups := Groups(s.Drills)
	if s.Cluster != "" {
		groups = []Group{{Drills: s.Drills}}
	}
	if err := s.check(ctx, ground); err != nil {
		return Report{}, err
	}
	for _, group := range groups {
		report.Runs = append(report.Runs, s.runGroup(ctx, ground, group)...)
	}
	report.Runs = inOrder(s.Drills, report.Runs)
	report.Seconds = seconds(time.Since(report.Began))
	return report, nil
}

// check refuses, before anything is done, what was named and cannot be run.
func (s Session) check(ctx context.Context, ground Ground) error {
	for _, drill := range s.Drills {
		if drill.Needs.EngineRestart && !s.EngineRestart && !s.Lenient {
			return provision.WithHint(fmt.Errorf("cannot run %s: it %w", drill.Name, errNoRestart), restartHint)
		}
	}
	if s.Cluster == "" {
		return nil
	}
	site, shape, err := ground.Open(ctx, s.Cluster)
	if err != nil {
		return err
	}
	if err := site.Canary.Close(); err != nil || s.Lenient {
		return err
	}
	return CheckFit(s.Drills, s.Cluster, shape)
}

// throwAway names a session's own cluster by its shape.
func throwAway(shape Shape) string {
	return fmt.Sprintf("drill-%d-%d", shape.ControlPlanes, shape.Workers)
}

// runGroup runs the drills of one cluster, and makes and destroys it where it is not the user's.
func (s Session) runGroup(ctx context.Context, ground Ground, group Group) []Run {
	cluster := s.Cluster
	if cluster == "" {
		cluster = throwAway(group.Shape)
		err := ground.Make(ctx, cluster, group.Shape)
		if !s.Keep {
			defer s.destroy(ctx, ground, cluster)
		}
		if err != nil {
			return allFailed(group.Drills, fmt.Errorf("making a cluster for it: %w", err))
		}
	}
	var runs []Run
	for _, drill := range group.Drills {
		runs = append(runs, s.runOne(ctx, ground, cluster, drill))
	}
	return runs
}

const destroyPatience = 2 * time.Minute

// destroy also takes place after an interruption. What it cannot take away is found by bronze cluster list.
func (s Session) destroy(ctx context.Context, ground Ground, cluster string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyPatience)
	defer cancel()
	// Nothing more can be done than is said by the engine's error, which progress has told.
	_ = ground.Destroy(ctx, cluster)
}

func allFailed(drills []Drill, err error) []Run {
	var runs []Run
	for _, drill := range drills {
		runs = append(runs, unrun(drill, Failed, reason(err, nil)))
	}
	return runs
}

// unrun is a drill that did not begin.
func unrun(drill Drill, verdict Verdict, why string) Run {
	return Run{Name: drill.Name, Rehearses: drill.Rehearses, Verdict: verdict, Reason: why}
}

func (s Session) runOne(ctx context.Context, ground Ground, cluster string, drill Drill) Run {
	if ctx.Err() != nil {
		return unrun(drill, Skipped, errInterrupted.Error())
	}
	if drill.Needs.EngineRestart && !s.EngineRestart {
		return unrun(drill, Skipped, errNoRestart.Error()+": "+restartHint)
	}
	site, shape, err := ground.Open(ctx, cluster)
	if err != nil {
		return unrun(drill, Failed, reason(err, nil))
	}
	defer site.Canary.Close()
	if why := drill.Needs.Misfit(shape); why != "" {
		return unrun(drill, Skipped, why)
	}
	return site.Run(ctx, drill)
}

// inOrder puts the runs in the order in which the drills were asked for.
func inOrder(drills []Drill, runs []Run) []Run {
	var ordered []Run
	for _, drill := range drills {
		for _, run := range runs {
			if run.Name == drill.Name {
				ordered = append(ordered, run)
				break
			}
		}
	}
	return ordered
}
