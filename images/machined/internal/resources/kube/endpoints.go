package kube

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// Balancer tells of the node's own way to the API.
type Balancer struct {
	// Port is where it listens on loopback.
	Port func() int
	// Upstreams answers where it may go, as host:port.
	Upstreams func() []string
	// Healthy answers nil while one of them is fit; Checked wakes whenever any of this may have changed.
	Healthy func(context.Context) error
	Checked publish.Signal
}

// publishEndpoints follows the control planes that discovery knows, and the balancer that goes to them.
func publishEndpoints(ctx context.Context, opts Options) error {
	events := make(chan state.Event)
	if err := opts.State.WatchKind(ctx, cluster.NewMember(cluster.NamespaceName, "").Metadata(), events); err != nil {
		return fmt.Errorf("cannot watch the cluster's members: %w", err)
	}

	for {
		checked := opts.Balancer.Checked()

		members, err := safe.StateListAll[*cluster.Member](ctx, opts.State)
		if err != nil {
			return quietly(ctx, fmt.Errorf("listing the cluster's members: %w", err))
		}

		set := opts.Balancer.resources(ctx)
		set.Add(discovered(slices.Collect(members.All())))

		if err := set.Update(ctx, opts.State); err != nil {
			return quietly(ctx, err)
		}

		select {
		case event := <-events:
			if event.Type == state.Errored {
				return fmt.Errorf("following the cluster's members: %w", event.Error)
			}
		case <-checked:
		case <-ctx.Done():
			return nil
		}
	}
}

// discovered is where the members' control planes are.
func discovered(members []*cluster.Member) *k8s.Endpoint {
	endpoint := k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, k8s.ControlPlaneDiscoveredEndpointsID)

	for _, member := range members {
		if member.TypedSpec().MachineType != machine.TypeWorker {
			endpoint.TypedSpec().Addresses = append(endpoint.TypedSpec().Addresses, member.TypedSpec().Addresses...)
		}
	}

	slices.SortFunc(endpoint.TypedSpec().Addresses, netip.Addr.Compare)

	return endpoint
}

func (b Balancer) resources(ctx context.Context) *publish.Set {
	var endpoints []k8s.KubePrismEndpoint

	for _, upstream := range b.Upstreams() {
		host, text, err := net.SplitHostPort(upstream)
		port, _ := strconv.ParseUint(text, 10, 16)

		if err == nil {
			endpoints = append(endpoints, k8s.KubePrismEndpoint{Host: host, Port: uint32(port)})
		}
	}

	config := k8s.NewKubePrismConfig(k8s.NamespaceName, k8s.KubePrismConfigID)
	*config.TypedSpec() = k8s.KubePrismConfigSpec{Host: loopback, Port: b.Port(), Endpoints: endpoints}

	all := k8s.NewKubePrismEndpoints(k8s.NamespaceName, k8s.KubePrismEndpointsID)
	all.TypedSpec().Endpoints = endpoints

	status := k8s.NewKubePrismStatuses(k8s.NamespaceName, k8s.KubePrismStatusesID)
	*status.TypedSpec() = k8s.KubePrismStatusesSpec{
		Host: net.JoinHostPort(loopback, strconv.Itoa(b.Port())), Healthy: b.Healthy(ctx) == nil,
	}

	var set publish.Set
	set.Add(config, all, status)

	return &set
}

const loopback = "127.0.0.1"
