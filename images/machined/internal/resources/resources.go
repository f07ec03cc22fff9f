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
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
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

// Forget has a node forgotten by its ID; its errors have a gRPC status.
type Forget func(ctx context.Context, nodeID string) error

// Register adds the COSI state service to a server. It reads only; secrets are for admins. To destroy an affiliate, which
// admins alone may, is to ask forget; nil is a node that forgets nobody.
func Register(registrar grpc.ServiceRegistrar, st state.State, forget Forget) {
	rule := guard{sensitive: sensitiveKinds(), forgets: forget != nil}

	v1alpha1.RegisterStateServer(registrar, stateserver.NewState(state.Filter(affiliates{CoreState: st, forget: forget}, rule.check)))
}

// affiliates is the state of which a client may destroy affiliates alone; the guard lets nothing else through.
type affiliates struct {
	state.CoreState

	forget Forget
}

// Destroy leaves the resource to its publisher, which follows what the servers of discovery know.
func (a affiliates) Destroy(ctx context.Context, pointer resource.Pointer, _ ...state.DestroyOption) error {
	return a.forget(ctx, pointer.ID())
}

// guard decides who may read what.
type guard struct {
	sensitive map[resource.Type]bool
	// forgets is whether the node can forget affiliates.
	forgets bool
}

func (g guard) check(ctx context.Context, access state.Access) error {
	admin := authz.Roles(ctx).Includes(role.Admin)

	if g.forgets && admin && isAffiliate(access) && access.Verb == state.Destroy {
		return nil
	}

	if !access.Verb.Readonly() {
		return status.Error(codes.PermissionDenied, "resources are read only: the node writes them")
	}

	if g.sensitive[access.ResourceType] && !admin {
		return status.Errorf(codes.PermissionDenied, "%s holds secrets and is for %s", access.ResourceType, role.Admin)
	}

	return nil
}

// isAffiliate leaves out those that are as one source told of them.
func isAffiliate(access state.Access) bool {
	return access.ResourceType == cluster.AffiliateType && access.ResourceNamespace == cluster.NamespaceName
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
