package machineapi

import (
	"cmp"
	"context"
	"slices"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/api/inspect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// inspection tells how the node's resources come about.
type inspection struct {
	inspect.UnimplementedInspectServiceServer
	*server
}

// ControllerRuntimeDependencies is part of inspect.InspectServiceServer. machined has no COSI controllers whose graph it
// could tell; who owns a resource is who writes it, and machined itself owns those that bear no name. Kinds of which there
// is nothing are left out.
func (i inspection) ControllerRuntimeDependencies(
	ctx context.Context, _ *emptypb.Empty,
) (*inspect.ControllerRuntimeDependenciesResponse, error) {
	definitions, err := safe.StateListAll[*meta.ResourceDefinition](ctx, i.opts.State)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "listing the kinds of resource: %v", err)
	}

	var edges []*inspect.ControllerDependencyEdge

	for definition := range definitions.All() {
		kind := definition.TypedSpec()

		list, err := i.opts.State.List(ctx, resource.NewMetadata(kind.DefaultNamespace, kind.Type, "", resource.VersionUndefined))
		if err != nil {
			return nil, status.Errorf(codes.Internal, "listing %s: %v", kind.Type, err)
		}

		edges = append(edges, outputs(list.Items)...)
	}

	slices.SortFunc(edges, func(a, b *inspect.ControllerDependencyEdge) int {
		return cmp.Or(cmp.Compare(a.ControllerName, b.ControllerName), cmp.Compare(a.ResourceType, b.ResourceType))
	})

	return &inspect.ControllerRuntimeDependenciesResponse{
		Messages: []*inspect.ControllerRuntimeDependency{{Edges: edges}},
	}, nil
}

// outputs names each writer of resources of one kind once.
func outputs(resources []resource.Resource) []*inspect.ControllerDependencyEdge {
	var edges []*inspect.ControllerDependencyEdge

	seen := map[string]bool{}

	for _, r := range resources {
		writer := cmp.Or(r.Metadata().Owner(), "machined")
		if seen[writer] {
			continue
		}

		seen[writer] = true
		edges = append(edges, &inspect.ControllerDependencyEdge{
			ControllerName:    writer,
			EdgeType:          inspect.DependencyEdgeType_OUTPUT_SHARED,
			ResourceNamespace: r.Metadata().Namespace(),
			ResourceType:      r.Metadata().Type(),
		})
	}

	return edges
}
