package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Scaled is what was planned and done to a cluster's nodes.
type Scaled struct {
	Plan Plan `json:"plan"`
	// Timings tell how long each phase of what was done took.
	Timings []provision.Timing `json:"timings,omitempty"`
	// Record is the cluster as it is stored now.
	Record provision.Record `json:"-"`
}

// Scaling is how an Add, an Adopt or a Remove goes about it.
type Scaling struct {
	// DryRun plans, and does nothing.
	DryRun bool
	// Tell hears the plan before it is done; it may be nil.
	Tell func(Plan)
}

// Add makes nodes, and ends when all of them are Ready. A cluster that is not stored is recalled from the engine, and
// stored. Run again after any end, it goes on with the nodes that it had begun. Errors: those of Load, *provision.HeldError.
func (r *Runner) Add(ctx context.Context, name string, asked Addition, how Scaling) (Scaled, error) {
	return r.scale(ctx, name, "adding nodes to", how, func(ctx context.Context, record provision.Record, sources picture.Sources) (Plan, error) {
		// What is refused anyway needs no machine config.
		plan, err := PlanAdd(record.Cluster, picture.Join(sources), asked, Mold{})
		if err != nil {
			return plan, err
		}
		mold, err := r.mold(ctx, record, sources, asked)
		if err != nil {
			return plan, err
		}
		if plan, err = PlanAdd(record.Cluster, picture.Join(sources), asked, mold); err != nil {
			return plan, err
		}
		return plan, r.preflight(ctx, record.Cluster, plan, asked.Image)
	})
}

// preflight proves that the engine can make the nodes that a plan desires.
func (r *Runner) preflight(ctx context.Context, cluster provision.Cluster, plan Plan, image string) error {
	cluster.Nodes = nil
	for _, step := range plan.Steps {
		if step.Action == Desire {
			cluster.Nodes = append(cluster.Nodes, *step.Node)
		}
	}
	if len(cluster.Nodes) == 0 {
		return nil
	}
	if image != "" {
		cluster.Image = image
	}
	return r.Engine.Preflight(ctx, cluster)
}

// Adopt makes nodes that were made by hand and are members of the cluster nodes like all others. A cluster that is not
// stored is recalled from the engine, and stored. Errors: those of Load, *provision.HeldError.
func (r *Runner) Adopt(ctx context.Context, name string, how Scaling) (Scaled, error) {
	return r.scale(ctx, name, "adopting nodes of", how, func(ctx context.Context, record provision.Record, sources picture.Sources) (Plan, error) {
		p := picture.Join(sources)
		molds := map[string]Mold{}
		for _, node := range Adoptees(p) {
			mold, err := r.cast(ctx, record, sources, node)
			if err != nil {
				return Plan{}, err
			}
			molds[node.Name] = mold
		}
		return PlanAdopt(record.Cluster, p, molds), nil
	})
}

// Remove takes nodes out of the cluster, and ends when no source knows them. Run again after any end, it goes on. Errors:
// those of Load, *provision.HeldError.
func (r *Runner) Remove(ctx context.Context, name string, asked Removal, how Scaling) (Scaled, error) {
	return r.scale(ctx, name, "removing nodes of", how, func(ctx context.Context, record provision.Record, sources picture.Sources) (Plan, error) {
		p := picture.Join(sources)
		molds := map[string]Mold{}
		for _, node := range handmade(p) {
			if !slices.Contains(asked.Names, node.Name) {
				continue
			}
			node, config, err := r.Engine.Inspect(ctx, *node.Machine)
			if err != nil {
				return Plan{}, fmt.Errorf("inspecting %q: %w", node.Name, err)
			}
			molds[node.Name] = Mold{Node: node, Config: config}
		}
		return PlanRemove(record.Cluster, p, asked, molds)
	})
}

// planner makes a plan of what is stored and of what the sources say.
type planner func(ctx context.Context, record provision.Record, sources picture.Sources) (Plan, error)

func (r *Runner) scale(ctx context.Context, name, what string, how Scaling, planned planner) (done Scaled, err error) {
	work := func() error {
		done, err = r.scaleHeld(ctx, name, how, planned)
		return err
	}
	if how.DryRun {
		err = work()
	} else {
		err = r.Store.Held(name, work)
	}
	if err != nil {
		return done, fmt.Errorf("%s cluster %q: %w", what, name, err)
	}
	return done, nil
}

func (r *Runner) scaleHeld(ctx context.Context, name string, how Scaling, planned planner) (Scaled, error) {
	record, recalled, err := Load(ctx, r.Store, r.Engine, name)
	if err != nil {
		return Scaled{}, err
	}
	if recalled && !how.DryRun {
		if err := r.Store.Save(record); err != nil {
			return Scaled{}, err
		}
	}
	plan, err := r.planScaling(ctx, &record, how, planned)
	if err != nil {
		return Scaled{}, err
	}
	if recalled {
		plan.Notes = append([]string{"the cluster was not in the state directory: it is recalled from the engine"}, plan.Notes...)
	}
	if how.Tell != nil {
		how.Tell(plan)
	}
	if how.DryRun {
		return Scaled{Plan: plan, Record: record}, nil
	}
	result, err := r.Do(ctx, record, plan)
	if err != nil && len(plan.Steps) > 0 {
		err = provision.WithHint(err, "run the same again to go on with what is left")
	}
	return Scaled{Plan: plan, Timings: result.Timings, Record: result.Record}, err
}

// planScaling looks and plans, until nothing keeps from it that may pass by itself, or for settlePatience.
func (r *Runner) planScaling(ctx context.Context, record *provision.Record, how Scaling, planned planner) (Plan, error) {
	began := time.Now()
	for {
		sources := Look(ctx, r.Engine, r.Connector, *record)
		if ctx.Err() != nil {
			return Plan{}, context.Cause(ctx)
		}
		if sources.EngineError == "" && record.Remember(sources.Engine) && !how.DryRun {
			if err := r.Store.Save(*record); err != nil {
				return Plan{}, err
			}
		}
		plan, err := planned(ctx, *record, sources)
		if !errors.As(err, &passing{}) || time.Since(began) > settlePatience {
			return plan, err
		}
		if err := pause(ctx, settleInterval); err != nil {
			return Plan{}, err
		}
	}
}

// passing is an error that may be none at the next look, such as while etcd elects.
type passing struct{ error }

// Unwrap lets errors.Is and errors.As see what is below.
func (p passing) Unwrap() error { return p.error }

// Nodes are those of the cluster that the plan desired, or found begun.
func (s Scaled) Nodes() []provision.Node {
	named := map[string]bool{}
	for _, step := range s.Plan.Steps {
		if step.Action == Desire || step.Action == CreateMachine {
			named[step.Target] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Record.Cluster.Nodes), func(n provision.Node) bool { return !named[n.Name] })
}
