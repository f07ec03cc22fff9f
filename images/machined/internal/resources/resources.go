// Package resources holds what the node tells of itself as COSI resources, the things that `talosctl get` lists. Each
// fact has one publisher, here or in the room that owns it; a resource is written only when it changes. It may import
// the supervisor, events and machinery's resources.
package resources

import (
	"context"
	"fmt"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	stateserver "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/cosi-project/runtime/pkg/state/registry"
	"github.com/siderolabs/talos/pkg/machinery/resources/cri"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
)

// Each kind's newest events are kept, so that a watch that is slow still tells them all. Most kinds change hardly ever, and
// the room for events grows with them; a watch that falls behind by more than the most is ended with an error.
const (
	historyFirst = 8
	historyMost  = 512
	historyGap   = 4
)

// New makes an empty state that knows the namespaces and kinds of resource.
func New(ctx context.Context) (state.State, error) {
	st := state.WrapCore(namespaced.NewState(func(namespace resource.Namespace) state.CoreState {
		return inmem.NewStateWithOptions(
			inmem.WithHistoryInitialCapacity(historyFirst), inmem.WithHistoryMaxCapacity(historyMost), inmem.WithHistoryGap(historyGap),
		)(namespace)
	}))

	if err := registry.NewNamespaceRegistry(st).RegisterDefault(ctx); err != nil {
		return nil, fmt.Errorf("cannot register the meta namespace: %w", err)
	}

	resources := registry.NewResourceRegistry(st)
	if err := resources.RegisterDefault(ctx); err != nil {
		return nil, fmt.Errorf("cannot register the meta kinds: %w", err)
	}

	for _, namespace := range namespaces() {
		if err := registry.NewNamespaceRegistry(st).Register(ctx, namespace.name, namespace.description); err != nil {
			return nil, fmt.Errorf("cannot register namespace %s: %w", namespace.name, err)
		}
	}

	for _, kind := range kinds() {
		if err := resources.Register(ctx, kind); err != nil {
			return nil, fmt.Errorf("cannot register %s: %w", kind.ResourceDefinition().Type, err)
		}
	}

	return st, nil
}

// Register adds the COSI state service to a server. It reads only; secrets are for admins.
func Register(registrar grpc.ServiceRegistrar, st state.State) {
	rule := guard{sensitive: sensitiveKinds()}

	v1alpha1.RegisterStateServer(registrar, stateserver.NewState(state.Filter(st, rule.check)))
}

// guard decides who may read what.
type guard struct {
	sensitive map[resource.Type]bool
}

func (g guard) check(ctx context.Context, access state.Access) error {
	if !access.Verb.Readonly() {
		return status.Error(codes.PermissionDenied, "resources are read only: the node writes them")
	}

	if g.sensitive[access.ResourceType] && !authz.Roles(ctx).Includes(role.Admin) {
		return status.Errorf(codes.PermissionDenied, "%s holds secrets and is for %s", access.ResourceType, role.Admin)
	}

	return nil
}

// sensitiveKinds are those that Talos marks so, and the registries, whose passwords Talos shows to all who may read.
func sensitiveKinds() map[resource.Type]bool {
	sensitive := map[resource.Type]bool{cri.RegistriesConfigType: true}

	for _, kind := range kinds() {
		if definition := kind.ResourceDefinition(); definition.Sensitivity == meta.Sensitive {
			sensitive[definition.Type] = true
		}
	}

	return sensitive
}
