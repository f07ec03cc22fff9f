// Package publish writes resources so that a state holds exactly what is wanted: what is new is created, what differs is
// updated, what is no longer wanted is destroyed, and what is the same is left alone, so that a watch tells only of real
// changes. It knows no kind of resource.
package publish

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/state"
)

// Set is all resources of some kinds. Its zero value is empty; a Set belongs to one goroutine.
type Set struct {
	kinds  map[kind]bool
	wanted []resource.Resource
}

type kind struct {
	namespace resource.Namespace
	of        resource.Type
}

// Kind makes the set hold all resources of that kind in its default namespace, so that Write destroys others than those
// that are added.
func (s *Set) Kind(kinds ...meta.ResourceWithRD) {
	for _, k := range kinds {
		definition := k.ResourceDefinition()
		s.know(kind{definition.DefaultNamespace, definition.Type})
	}
}

// In makes the set hold all resources of a kind in a namespace that is not its default one.
func (s *Set) In(namespace resource.Namespace, kinds ...meta.ResourceWithRD) {
	for _, k := range kinds {
		s.know(kind{namespace, k.ResourceDefinition().Type})
	}
}

// Add puts resources and their kinds into the set.
func (s *Set) Add(resources ...resource.Resource) {
	for _, r := range resources {
		s.know(kind{r.Metadata().Namespace(), r.Metadata().Type()})
	}

	s.wanted = append(s.wanted, resources...)
}

func (s *Set) know(k kind) {
	if s.kinds == nil {
		s.kinds = map[kind]bool{}
	}

	s.kinds[k] = true
}

// All are the resources of the set, in the order in which they were added.
func (s *Set) All() []resource.Resource { return s.wanted }

// Write makes the state hold exactly the set's resources of the set's kinds. What goes wrong with one does not keep the
// others from being written.
func (s *Set) Write(ctx context.Context, st state.State) error {
	wanted := map[kind]map[resource.ID]resource.Resource{}
	for k := range s.kinds {
		wanted[k] = map[resource.ID]resource.Resource{}
	}

	for _, r := range s.wanted {
		wanted[kind{r.Metadata().Namespace(), r.Metadata().Type()}][r.Metadata().ID()] = r
	}

	var errs []error
	for k, resources := range wanted {
		errs = append(errs, write(ctx, st, k, resources))
	}

	return errors.Join(errs...)
}

// Update writes the set's resources and leaves others of their kinds to those who publish them.
func (s *Set) Update(ctx context.Context, st state.State) error {
	var errs []error

	for _, r := range s.wanted {
		current, err := st.Get(ctx, r.Metadata())

		switch {
		case state.IsNotFoundError(err):
			err = st.Create(ctx, r.DeepCopy())
		case err == nil:
			err = update(ctx, st, current, r)
		}

		if err != nil {
			errs = append(errs, fmt.Errorf("publishing %s: %w", resource.String(r), err))
		}
	}

	return errors.Join(errs...)
}

// update makes current what next is, unless it is already. A set may be written again, so that its own resources stay as
// they are.
func update(ctx context.Context, st state.State, current, next resource.Resource) error {
	if reflect.DeepEqual(current.Spec(), next.Spec()) {
		return nil
	}

	next = next.DeepCopy()
	next.Metadata().SetVersion(current.Metadata().Version())

	return st.Update(ctx, next)
}

// write brings one kind to what is wanted.
func write(ctx context.Context, st state.State, k kind, wanted map[resource.ID]resource.Resource) error {
	list, err := st.List(ctx, resource.NewMetadata(k.namespace, k.of, "", resource.VersionUndefined))
	if err != nil {
		return fmt.Errorf("listing %s: %w", k.of, err)
	}

	var errs []error

	for _, current := range list.Items {
		next, ok := wanted[current.Metadata().ID()]
		delete(wanted, current.Metadata().ID())

		if ok {
			err = update(ctx, st, current, next)
		} else {
			err = st.Destroy(ctx, current.Metadata())
		}

		errs = append(errs, err)
	}

	for _, next := range wanted {
		errs = append(errs, st.Create(ctx, next.DeepCopy()))
	}

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("publishing %s: %w", k.of, err)
	}

	return nil
}
