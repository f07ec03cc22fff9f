package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/picture"
)

// ErrRefused is in the error of a Mend that has done all that it could do safely, and left something alone.
var ErrRefused = errors.New("something is wrong that cannot be mended safely")

// Policy is how a Mend goes about it.
type Policy struct {
	// Missing is what is done about missing nodes.
	Missing Missing
	// Interval is how long something must be missing; 0 means that the user is sure.
	Interval time.Duration
	// DryRun plans, and does nothing.
	DryRun bool
}

// Outcome is what was found and done.
type Outcome struct {
	// Plans are those that were made, in the order in which they were done; the last one tells what is left.
	Plans []Plan `json:"plans"`
	// Timings tell how long each phase of what was done took.
	Timings []provision.Timing `json:"timings,omitempty"`
}

const (
	// settlePatience is how long a doubt is looked at that may pass, such as while etcd elects.
	settlePatience = 10 * time.Second
	settleInterval = 250 * time.Millisecond
	// mendRounds is how often a plan may ask for another look: a lost balancer hides all else.
	mendRounds = 3
)

// Mend looks at a cluster and does what PlanMissing says, and looks a second time first where something is not missing for
// long enough. It holds the cluster's lock while it looks and works, and not while it waits. tell hears each plan before it
// is done, unless it is nil. Errors: ErrRefused, those of Load, and *provision.HeldError.
func (r *Runner) Mend(ctx context.Context, name string, policy Policy, tell func(Plan)) (Outcome, error) {
	m := &mending{Runner: r, name: name, policy: policy, tell: tell}
	for {
		wait, err := m.turn(ctx)
		if policy.DryRun || wait == 0 || err != nil && !errors.Is(err, ErrRefused) {
			return m.outcome, err
		}
		if err := pause(ctx, wait); err != nil {
			return m.outcome, err
		}
	}
}

// mending is one Mend, or one Watch.
type mending struct {
	*Runner
	name    string
	policy  Policy
	tell    func(Plan)
	seen    Sightings
	outcome Outcome
}

// turn looks and works once. A refusal ends a Mend only once nothing is waited for. wait is how long until something has been missing for long enough.
func (m *mending) turn(ctx context.Context) (wait time.Duration, err error) {
	if m.policy.DryRun {
		return m.work(ctx)
	}
	err = m.Store.Held(m.name, func() error {
		wait, err = m.work(ctx)
		return err
	})
	return wait, err
}

func (m *mending) work(ctx context.Context) (wait time.Duration, err error) {
	record, err := m.load(ctx)
	if err != nil {
		return 0, err
	}
	for range mendRounds {
		plan, err := m.plan(ctx, &record)
		if err != nil {
			return 0, err
		}
		m.outcome.Plans = append(m.outcome.Plans, plan)
		if m.tell != nil {
			m.tell(plan)
		}
		if m.policy.DryRun || len(plan.Steps) == 0 {
			return plan.waits, refused(plan)
		}
		result, err := m.Do(ctx, record, plan)
		m.outcome.Timings = append(m.outcome.Timings, result.Timings...)
		if err != nil {
			return 0, err
		}
		if !plan.again {
			return plan.waits, refused(plan)
		}
		record = result.Record
	}
	return 0, errors.New("cannot finish: there is always something left to look at again")
}

func refused(plan Plan) error {
	if len(plan.Refusals) == 0 {
		return nil
	}
	return ErrRefused
}

// load is the record, which is stored where it had to be recalled: what is missing can only be told by who remembers.
func (m *mending) load(ctx context.Context) (provision.Record, error) {
	record, recalled, err := Load(ctx, m.Store, m.Engine, m.name)
	if err != nil || !recalled || m.policy.DryRun {
		return record, err
	}
	return record, m.Store.Save(record)
}

// plan looks until no doubt is left that may pass, or no patience, and plans.
func (m *mending) plan(ctx context.Context, record *provision.Record) (Plan, error) {
	began := time.Now()
	for {
		sources := Look(ctx, m.Engine, m.Connector, *record)
		if err := ctx.Err(); err != nil {
			return Plan{}, context.Cause(ctx)
		}
		if err := m.remember(record, sources); err != nil {
			return Plan{}, err
		}
		p := picture.Join(sources)
		m.seen = m.seen.Then(p, sources.At)
		facts, err := m.facts(*record, p, sources)
		if err != nil {
			return Plan{}, err
		}
		plan := PlanMissing(p, facts, m.policy.Missing)
		if !plan.passing() || time.Since(began) > settlePatience {
			return plan, nil
		}
		if err := pause(ctx, settleInterval); err != nil {
			return Plan{}, err
		}
	}
}

// passing tells whether a refusal may not stand at the next look.
func (p Plan) passing() bool {
	for _, refusal := range p.Refusals {
		if refusal.passing {
			return true
		}
	}
	return false
}

// remember keeps the IDs of the machines that are there, for when they are not.
func (m *mending) remember(record *provision.Record, sources picture.Sources) error {
	if sources.EngineError != "" || !record.Remember(sources.Engine) || m.policy.DryRun {
		return nil
	}
	return m.Store.Save(*record)
}

// facts are what the plan needs beside the picture, with machine configs that are fit for replacements.
func (m *mending) facts(record provision.Record, p picture.Picture, sources picture.Sources) (Facts, error) {
	facts := Facts{Record: record, Seen: m.seen, At: sources.At, Interval: m.policy.Interval}
	for _, balancer := range sources.Engine.Balancers {
		facts.Balancer = balancer.State
	}
	if m.policy.Missing != ReplaceMissing {
		return facts, nil
	}
	facts.Record.Configs = map[string][]byte{}
	for _, node := range p.Nodes {
		if node.State != picture.Missing {
			continue
		}
		config, err := machineconfig.Clone(record.Configs[node.Name], *node.Desired, nil)
		if err != nil {
			return Facts{}, fmt.Errorf("cannot make the machine config of a replacement for %q: %w", node.Name, err)
		}
		facts.Record.Configs[node.Name] = config
	}
	return facts, nil
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
