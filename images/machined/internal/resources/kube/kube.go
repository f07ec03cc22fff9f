// Package kube tells what Kubernetes says of the node and of its API's addresses, as Talos's resources. It asks the API by
// watches only, and may import kubeapi.
package kube

import (
	"context"
	"net/netip"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// Options tell where the facts come from.
type Options struct {
	State state.State
	// Node is this node's name in Kubernetes.
	Node string
	// Connect blocks until the node may ask the API and answers a client, which Run closes.
	Connect func(ctx context.Context) (*kubeapi.Client, error)
	// ControlPlane may also ask where the API serves.
	ControlPlane bool
	// Balancer is the node's own way to the API, as host and port on loopback.
	Balancer Balancer
}

// Run publishes what Kubernetes says, and blocks until ctx ends.
func Run(ctx context.Context, opts Options) error {
	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return publishEndpoints(ctx, opts) })
	group.Go(func() error { return ask(ctx, opts) })

	return group.Wait()
}

// ask follows the API's objects.
func ask(ctx context.Context, opts Options) error {
	api, err := opts.Connect(ctx)
	if err != nil {
		return quietly(ctx, err)
	}
	defer api.Close()

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error {
		return quietly(ctx, api.WatchOne(ctx, "/api/v1/nodes", opts.Node, func(ctx context.Context, node kubeapi.Object) error {
			return nodeStatus(node).Write(ctx, opts.State)
		}))
	})

	if opts.ControlPlane {
		group.Go(func() error {
			path := "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

			return quietly(ctx, api.WatchOne(ctx, path, "kubernetes", func(ctx context.Context, slice kubeapi.Object) error {
				var set publish.Set
				set.Add(serving(slice))

				return set.Update(ctx, opts.State)
			}))
		})
	}

	return group.Wait()
}

// quietly makes the end of ctx no error.
func quietly(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// nodeStatus is what a Node object says; without one it is nothing.
func nodeStatus(node kubeapi.Object) *publish.Set {
	var set publish.Set
	set.Kind(&k8s.NodeStatus{})

	if node == nil {
		return &set
	}

	status := k8s.NewNodeStatus(k8s.NamespaceName, node.Name())
	*status.TypedSpec() = k8s.NodeStatusSpec{
		Nodename:      node.Name(),
		NodeReady:     isReady(node),
		Unschedulable: node.Is("spec", "unschedulable"),
		Labels:        node.Texts("metadata", "labels"),
		Annotations:   node.Texts("metadata", "annotations"),
	}

	for _, text := range node.Strings("spec", "podCIDRs") {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			status.TypedSpec().PodCIDRs = append(status.TypedSpec().PodCIDRs, prefix)
		}
	}

	set.Add(status)

	return &set
}

func isReady(node kubeapi.Object) bool {
	for _, condition := range node.List("status", "conditions") {
		if condition.Text("type") == "Ready" {
			return condition.Text("status") == "True"
		}
	}

	return false
}

// serving is where the API itself says that it serves.
func serving(slice kubeapi.Object) *k8s.Endpoint {
	endpoint := k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, k8s.ControlPlaneKubernetesEndpointsID)

	for _, entry := range slice.List("endpoints") {
		for _, text := range entry.Strings("addresses") {
			if address, err := netip.ParseAddr(text); err == nil {
				endpoint.TypedSpec().Addresses = append(endpoint.TypedSpec().Addresses, address)
			}
		}
	}

	return endpoint
}
