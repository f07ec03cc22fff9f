package operate

import (
	"context"
	"fmt"
	"sync"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
)

// ResourceQuery says which resources of the nodes' COSI state are meant.
type ResourceQuery struct {
	// Type is a type or an alias of one, such as "Members.cluster.talos.dev", "members" or "member".
	Type string
	// ID is one resource; empty means all of the type.
	ID string
	// Namespace is where to look; empty means where the type's resources usually are.
	Namespace string
}

// What became of a resource that is watched.
const (
	EventCreated   = "+"
	EventUpdated   = " "
	EventDestroyed = "-"
)

// Resource is one resource of a node.
type Resource struct {
	Node string
	// Event is what became of it; empty where it was not watched.
	Event string
	// Definition tells how resources of this type are shown.
	Definition *meta.ResourceDefinitionSpec
	Resource   resource.Resource
}

// Resources hands on what the query finds, in the nodes' order.
func (f *Fleet) Resources(ctx context.Context, query ResourceQuery, hear func(Resource) error) error {
	found := make([][]Resource, len(f.nodes))
	failed := f.each(ctx, func(ctx context.Context, i int, n node) error {
		var err error
		found[i], err = n.resources(ctx, query)
		return err
	})
	for _, resources := range found {
		for _, r := range resources {
			if err := hear(r); err != nil {
				return err
			}
		}
	}
	return failed
}

func (n node) resources(ctx context.Context, query ResourceQuery) ([]Resource, error) {
	pointer, definition, err := n.resolve(ctx, query)
	if err != nil {
		return nil, err
	}
	if query.ID != "" {
		one, err := n.client.COSI.Get(ctx, pointer)
		if err != nil {
			return nil, err
		}
		return []Resource{{Node: n.name, Definition: definition, Resource: one}}, nil
	}
	list, err := n.client.COSI.List(ctx, pointer)
	if err != nil {
		return nil, err
	}
	var resources []Resource
	for _, one := range list.Items {
		resources = append(resources, Resource{Node: n.name, Definition: definition, Resource: one})
	}
	return resources, nil
}

// resolve finds the type that the query's name stands for.
func (n node) resolve(ctx context.Context, query ResourceQuery) (resource.Metadata, *meta.ResourceDefinitionSpec, error) {
	namespace := query.Namespace
	definition, err := n.client.ResolveResourceKind(ctx, &namespace, query.Type)
	if client.StatusCode(err) == codes.NotFound {
		err := fmt.Errorf("cannot find a resource type %q", query.Type)
		return resource.Metadata{}, nil, provision.WithHint(err, "bronze get rd lists the types with their aliases")
	}
	if err != nil {
		return resource.Metadata{}, nil, err
	}
	spec := definition.TypedSpec()
	return resource.NewMetadata(namespace, spec.Type, query.ID, resource.VersionUndefined), spec, nil
}

// WatchResources hands on what the query finds and then every change, until the context ends.
func (f *Fleet) WatchResources(ctx context.Context, query ResourceQuery, hear func(Resource) error) error {
	var mutex sync.Mutex
	return f.each(ctx, func(ctx context.Context, _ int, n node) error {
		watching, cancel := context.WithCancel(ctx)
		defer cancel()
		events, definition, err := n.watch(watching, query)
		if err != nil {
			return err
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case event := <-events:
				if event.Type == state.Errored {
					return unlessEnded(ctx, event.Error)
				}
				word, shown := eventWord(event.Type)
				if !shown {
					continue
				}
				mutex.Lock()
				err := hear(Resource{Node: n.name, Event: word, Definition: definition, Resource: event.Resource})
				mutex.Unlock()
				if err != nil {
					return err
				}
			}
		}
	})
}

// watch sends events until ctx ends.
func (n node) watch(ctx context.Context, query ResourceQuery) (<-chan state.Event, *meta.ResourceDefinitionSpec, error) {
	pointer, definition, err := n.resolve(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	events := make(chan state.Event)
	if query.ID != "" {
		return events, definition, n.client.COSI.Watch(ctx, pointer, events)
	}
	return events, definition, n.client.COSI.WatchKind(ctx, pointer, events, state.WithBootstrapContents(true))
}

// eventWord answers false for events that are about the watch itself.
func eventWord(kind state.EventType) (string, bool) {
	switch kind {
	case state.Created:
		return EventCreated, true
	case state.Updated:
		return EventUpdated, true
	case state.Destroyed:
		return EventDestroyed, true
	default:
		return "", false
	}
}
