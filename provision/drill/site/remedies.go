package site

import (
	"context"
	"fmt"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/drill"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// runner is the one of other commands, but that a throw-away cluster has no client contexts.
func (p place) runner() *reconcile.Runner {
	runner := *p.Runner
	runner.Progress = nil
	if p.made[p.cluster] {
		runner.Contexts = nil
	}
	return &runner
}

// Reconcile is bronze cluster reconcile --now.
func (p place) Reconcile(ctx context.Context, policy drill.Cure) (int, error) {
	missing := reconcile.ReplaceMissing
	if policy == drill.Resurrect {
		missing = reconcile.ResurrectMissing
	}
	outcome, err := p.runner().Mend(ctx, p.cluster, reconcile.Policy{Missing: missing}, nil)
	steps := 0
	for _, plan := range outcome.Plans {
		steps += len(plan.Steps)
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, refusals(outcome.Plans))
	}
	return steps, err
}

// refusals are the reasons for what the last plan left alone.
func refusals(plans []reconcile.Plan) string {
	why := ""
	if len(plans) > 0 {
		for _, refusal := range plans[len(plans)-1].Refusals {
			why += "; " + refusal.Node + ": " + refusal.Why
		}
	}
	return why
}

// Start is bronze cluster start.
func (p place) Start(ctx context.Context) error {
	reconciler := p.Reconciler
	if p.made[p.cluster] {
		reconciler = p.quiet()
	}
	_, err := reconciler.Start(ctx, p.cluster)
	return err
}

// Add is bronze node add.
func (p place) Add(ctx context.Context, workers int) error {
	_, err := p.runner().Add(ctx, p.cluster, reconcile.Addition{Role: provision.Worker, Count: workers}, reconcile.Scaling{})
	return err
}

// Remove is bronze node remove --force: the pods of a drill need no grace.
func (p place) Remove(ctx context.Context, names []string) error {
	_, err := p.runner().Remove(ctx, p.cluster, reconcile.Removal{Names: names, Force: true}, reconcile.Scaling{})
	return err
}
