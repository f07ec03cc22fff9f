package apid

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/siderolabs/grpc-proxy/proxy"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
)

// router tells where a call goes.
type router struct {
	local   *local
	remotes *pool
	isLocal func(target string) bool
	// resolve may be nil.
	resolve func(ctx context.Context, name string) (netip.Addr, bool)
}

const (
	// targetLimit is how many nodes a call may name; Kubernetes is made for 5000 at most, and nobody reads that many answers.
	targetLimit = 1000
	// connectLimit is how many of them are connected to at once.
	connectLimit = 200
)

// route is the decision for one call. Without targets it is for this node.
type route struct {
	targets []string
	// many asks for the merged answers of all targets, each marked with its target.
	many bool
}

// routeOf reads the metadata "node" and "nodes" that talosctl sends.
func routeOf(ctx context.Context, method string) (route, error) {
	if authz.Proxied(ctx) {
		return route{}, nil
	}

	node, nodes := metadata.ValueFromIncomingContext(ctx, "node"), metadata.ValueFromIncomingContext(ctx, "nodes")

	switch {
	case len(nodes) > 0 && !mergeable(method):
		return route{}, status.Errorf(codes.InvalidArgument, "%s cannot be asked of many nodes at once", method)
	case len(nodes) > targetLimit:
		return route{}, status.Errorf(codes.InvalidArgument, "%d nodes are too many for one call: name at most %d", len(nodes), targetLimit)
	case len(nodes) > 0:
		return route{targets: unique(nodes), many: true}, nil
	case len(node) > 1:
		return route{}, status.Error(codes.InvalidArgument, "the metadata \"node\" must name one node")
	default:
		return route{targets: node}, nil
	}
}

// unique keeps the first of each, so that no node does anything twice.
func unique(targets []string) []string {
	seen := map[string]bool{}

	return slices.DeleteFunc(slices.Clone(targets), func(target string) bool {
		before := seen[target]
		seen[target] = true

		return before
	})
}

// mergeable tells whether the method's answer is a list of messages with metadata, which can be joined as bytes.
func mergeable(method string) bool {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")

	switch service {
	case "machine.MachineService", "cluster.ClusterService", "inspect.InspectService", "storage.StorageService",
		"time.TimeService":
		return true
	default:
		return false
	}
}

// LocalTargets tells a node's own names: its host name, its addresses as they are at the moment, and loopback.
func LocalTargets(hostname string, addresses func() []netip.Prefix) func(target string) bool {
	return func(target string) bool {
		ip, err := netip.ParseAddr(target)
		if err != nil {
			return target == hostname || target == "localhost"
		}

		return ip.IsLoopback() || slices.ContainsFunc(addresses(), func(own netip.Prefix) bool { return own.Addr() == ip })
	}
}

// direct is a proxy.StreamDirector.
func (r *router) direct(ctx context.Context, method string) (proxy.Mode, []proxy.Backend, error) {
	route, err := routeOf(ctx, method)
	if err != nil {
		return proxy.One2One, nil, err
	}

	if len(route.targets) == 0 {
		return proxy.One2One, []proxy.Backend{&backend{conn: r.local.conn}}, nil
	}

	backends := r.backends(ctx, route.targets)
	if route.many {
		return proxy.One2Many, backends, nil
	}

	return proxy.One2One, backends, nil
}

// backends connects to all targets at once: the proxy opens its streams one after the other, and each dead target
// would hold up all that follow it.
func (r *router) backends(ctx context.Context, targets []string) []proxy.Backend {
	backends := make([]proxy.Backend, len(targets))

	var group errgroup.Group

	group.SetLimit(connectLimit)

	for i, target := range targets {
		group.Go(func() error {
			backends[i] = r.backend(ctx, target)
			return nil
		})
	}

	// What goes wrong with a target is in its backend.
	_ = group.Wait()

	return backends
}

func (r *router) backend(ctx context.Context, target string) *backend {
	if r.isLocal(target) {
		return &backend{target: target, conn: r.local.conn}
	}

	address := r.address(ctx, target)
	if r.isLocal(address) {
		return &backend{target: target, conn: r.local.conn}
	}

	conn, err := r.remotes.connect(ctx, address)

	return &backend{target: target, conn: conn, err: err}
}

// address is where a target is: what is known as the node's name, else what the caller said.
func (r *router) address(ctx context.Context, target string) string {
	if _, err := netip.ParseAddr(target); err == nil || r.resolve == nil {
		return target
	}

	if address, ok := r.resolve(ctx, target); ok {
		return address.String()
	}

	return target
}
