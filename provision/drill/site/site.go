// Package site brings drills to real clusters: it opens a stored one with its engine, its APIs and a canary, makes and
// destroys throw-away ones, and runs the commands that a drill wants as processes. It may import all of provision, and no
// provider.
package site

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/drill"
	"github.com/bronze-os/bronze/provision/drill/canary"
	"github.com/bronze-os/bronze/provision/drill/guest"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// Engine is what a provider must be able to do for drills.
type Engine interface {
	reconcile.Engine
	provision.Hazards
	provision.Switch
}

// Ground implements drill.Ground.
type Ground struct {
	Reconciler *provision.Reconciler
	Runner     *reconcile.Runner
	// Request is what throw-away clusters are made of; name and counts are the session's.
	Request provision.Request
	// Version is that of the nodes which are made of it.
	Version string
	// Probe is the image of the canary's pods, as the nodes have it.
	Probe string
	// Reconcile is a process of bronze cluster reconcile on that cluster by that policy, not started.
	Reconcile func(ctx context.Context, cluster string, policy drill.Cure) *exec.Cmd
	// RestartEngine is a process that restarts the engine, not started; nil where nobody said how.
	RestartEngine func(ctx context.Context) *exec.Cmd

	// made are the throw-away clusters, by name.
	made map[string]bool
}

// Open makes a stored cluster ready to be drilled on. Errors: provision.ErrNotFound, and errors.ErrUnsupported where the
// provider cannot do harm.
func (g *Ground) Open(_ context.Context, cluster string) (drill.Site, drill.Shape, error) {
	record, err := g.Reconciler.Store.Load(cluster)
	if errors.Is(err, provision.ErrNotFound) {
		return drill.Site{}, drill.Shape{}, provision.WithHint(err, "bronze cluster list shows those that there are, or leave out --cluster")
	}
	if err != nil {
		return drill.Site{}, drill.Shape{}, err
	}
	engine, able := g.Reconciler.Provider.(Engine)
	if !able {
		err := fmt.Errorf("cannot drill on provider %s: %w", g.Reconciler.Provider.Name(), errors.ErrUnsupported)
		return drill.Site{}, drill.Shape{}, err
	}
	access := func(ctx context.Context) (provision.Access, error) { return g.Reconciler.Access(ctx, cluster) }
	place := place{Ground: g, cluster: cluster, engine: engine}
	site := drill.Site{
		Cluster: cluster, Eye: place, Hand: engine, Healer: place,
		Guest: guest.New(access), Canary: canary.New(access, g.Probe), Progress: g.Reconciler.Progress,
	}
	if g.RestartEngine != nil {
		site.RestartEngine = func(ctx context.Context) error { return run(g.RestartEngine(ctx)) }
	}
	return site, drill.ShapeOf(record.Cluster), nil
}

// Make makes a throw-away cluster. One of that name is never taken for it.
func (g *Ground) Make(ctx context.Context, cluster string, shape drill.Shape) error {
	if g.Reconciler.Store.Has(cluster) {
		return provision.WithHint(fmt.Errorf("cannot make cluster %q to drill on: there is one of that name", cluster),
			"bronze cluster destroy "+cluster)
	}
	if g.made == nil {
		g.made = map[string]bool{}
	}
	g.made[cluster] = true
	request := g.Request
	request.Name, request.ControlPlanes, request.Workers = cluster, shape.ControlPlanes, shape.Workers
	_, err := g.quiet().Create(ctx, request)
	return err
}

// Destroy takes a throw-away cluster away.
func (g *Ground) Destroy(ctx context.Context, cluster string) error {
	_, err := g.quiet().Destroy(ctx, cluster)
	return err
}

// quiet leaves the user's client contexts alone.
func (g *Ground) quiet() *provision.Reconciler {
	quiet := *g.Reconciler
	quiet.Contexts = nil
	return &quiet
}

// place is one cluster of the ground.
type place struct {
	*Ground
	cluster string
	engine  Engine
}

// Look asks all five sources, by the record as it is now.
func (p place) Look(ctx context.Context) (picture.Picture, error) {
	record, err := p.Reconciler.Store.Load(p.cluster)
	if err != nil {
		return picture.Picture{}, err
	}
	return picture.Join(reconcile.Look(ctx, p.engine, p.Runner.Connector, record)), nil
}

// ReconcileDying runs Reconcile in a process of its own, which is killed at its step number n.
func (p place) ReconcileDying(ctx context.Context, policy drill.Cure, n int) (bool, error) {
	return dying(p.Ground.Reconcile(ctx, p.cluster, policy), n)
}
