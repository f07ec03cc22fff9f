// Package authz holds the callers of the machine API to their roles, and carries those along. It imports machinery's
// roles, gRPC and the list of calls only.
package authz

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/calls"
)

type rolesKey struct{}

// WithRoles answers a context that bears the caller's roles.
func WithRoles(ctx context.Context, roles role.Set) context.Context {
	return context.WithValue(ctx, rolesKey{}, roles)
}

// Roles tells the caller's roles; a context without any has none.
func Roles(ctx context.Context) role.Set {
	roles, _ := ctx.Value(rolesKey{}).(role.Set)

	return roles
}

// PeerRoles tells the roles of the caller at the other end of a mutual TLS connection: those in its certificate, or,
// when that lets it speak for somebody else, those that it names in the metadata. Anybody else's metadata is ignored.
func PeerRoles(ctx context.Context) role.Set {
	own := certificateRoles(ctx)
	if !own.Includes(role.Impersonator) {
		return own
	}

	if named, ok := MetadataRoles(ctx); ok {
		return named
	}

	return own
}

// Proxied tells whether another node's apid has sent the call on to this one already.
func Proxied(ctx context.Context) bool {
	return certificateRoles(ctx).Includes(role.Impersonator) && len(metadata.ValueFromIncomingContext(ctx, ProxyFromKey)) > 0
}

// ProxyFromKey is the metadata that marks a call which must not be sent on again, as in Talos.
const ProxyFromKey = "proxyfrom"

// MetadataRoles tells the roles named in the metadata; false means that none are.
func MetadataRoles(ctx context.Context) (role.Set, bool) {
	named := metadata.ValueFromIncomingContext(ctx, constants.APIAuthzRoleMetadataKey)
	roles, _ := role.Parse(named)

	return roles, len(named) > 0
}

func certificateRoles(ctx context.Context) role.Set {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return role.Zero
	}

	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return role.Zero
	}

	roles, _ := role.Parse(info.State.VerifiedChains[0][0].Subject.Organization)

	return roles
}

// Allow answers nil when one of the roles may call the method, and PermissionDenied otherwise.
func Allow(method string, roles role.Set) error {
	if roles.IncludesAny(calls.Roles(method)) {
		return nil
	}

	return status.Errorf(codes.PermissionDenied, "not authorized to call %s", method)
}

// Guard lets calls through to a server that trusts the roles in their metadata.
type Guard struct {
	// Open tells whether every caller is an administrator at the moment, whatever its roles; nil means never.
	Open func() bool
}

// Unary is a grpc.UnaryServerInterceptor.
func (g Guard) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	roles := g.roles(ctx)
	if err := Allow(info.FullMethod, roles); err != nil {
		return nil, err
	}

	return handle(WithRoles(ctx, roles), request)
}

// Stream is a grpc.StreamServerInterceptor.
func (g Guard) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	roles := g.roles(stream.Context())
	if err := Allow(info.FullMethod, roles); err != nil {
		return err
	}

	return handle(server, WithStreamRoles(stream, roles))
}

func (g Guard) roles(ctx context.Context) role.Set {
	if g.Open != nil && g.Open() {
		return role.MakeSet(role.Admin)
	}

	roles, _ := MetadataRoles(ctx)

	return roles
}

// WithStreamRoles is WithRoles for a stream.
func WithStreamRoles(stream grpc.ServerStream, roles role.Set) grpc.ServerStream {
	return &withContext{ServerStream: stream, ctx: WithRoles(stream.Context(), roles)}
}

type withContext struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is part of grpc.ServerStream.
func (w *withContext) Context() context.Context { return w.ctx }
