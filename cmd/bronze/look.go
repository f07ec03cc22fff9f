package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// recallLimit bounds the questions to an engine about a cluster that is not stored.
const recallLimit = 10 * time.Second

// looked is a cluster as all sources say that it is.
type looked struct {
	summary provision.Summary
	record  provision.Record
	sources picture.Sources
	picture picture.Picture
	// warnings are what the user should know of how it was found.
	warnings []string
}

// look asks all sources of a cluster. It is an error where nobody knows the cluster, and none where sources are silent.
func (a *app) look(ctx context.Context, name string) (looked, error) {
	reconciler, err := a.reconciler(nil)
	if err != nil {
		return looked{}, err
	}
	engine, ok := reconciler.Provider.(reconcile.Engine)
	if !ok {
		return looked{}, fmt.Errorf("provider %s cannot tell what is behind a cluster: %w", reconciler.Provider.Name(), errors.ErrUnsupported)
	}
	var found looked
	if err := found.load(ctx, reconciler.Store, engine, name); err != nil {
		return looked{}, err
	}
	found.sources = reconcile.Look(ctx, engine, a.changer, found.record)
	found.picture = picture.Join(found.sources)
	found.summary, err = reconciler.Summarize(name, found.sources.Engine)
	if found.sources.EngineError != "" {
		found.summary.Status = provision.StatusUnknown
	}
	return found, err
}

// load finds what is desired: in the store, or else in the engine, or else nowhere.
func (l *looked) load(ctx context.Context, store *provision.Store, engine reconcile.Engine, name string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, recallLimit)
	defer cancel()
	var recalled bool
	l.record, recalled, err = reconcile.Load(ctx, store, engine, name)
	switch {
	case errors.Is(err, provision.ErrStateLost):
		l.record = provision.Record{Cluster: provision.Cluster{Name: name}}
		l.warnings = append(l.warnings, err.Error())
	case errors.Is(err, provision.ErrNotFound):
		err := fmt.Errorf("cannot find cluster %q: %w", name, provision.ErrNotFound)
		return provision.WithHint(err, "bronze cluster list shows those that are there")
	case err != nil:
		return err
	case recalled:
		l.warnings = append(l.warnings, fmt.Sprintf("cluster %q is not in %s: what is desired is taken from its machines", name, store.Dir()))
	}
	return nil
}
