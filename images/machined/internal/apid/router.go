package apid

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/siderolabs/grpc-proxy/proxy"
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
}

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
	case len(nodes) > 0:
		return route{targets: nodes, many: true}, nil
	case len(node) > 1:
		return route{}, status.Error(codes.InvalidArgument, "the metadata \"node\" must name one node")
	default:
		return route{targets: node}, nil
	}
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

	var wait sync.WaitGroup

	for i, target := range targets {
		wait.Go(func() { backends[i] = r.backend(ctx, target) })
	}

	wait.Wait()

	return backends
}

func (r *router) backend(ctx context.Context, target string) *backend {
	if r.isLocal(target) {
		return &backend{target: target, conn: r.local.conn}
	}

	conn, err := r.remotes.connect(ctx, target)

	return &backend{target: target, conn: conn, err: err}
}
