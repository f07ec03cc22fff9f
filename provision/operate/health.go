package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/provision"
)

// HealthQuery says of which cluster the health is asked.
type HealthQuery struct {
	// ControlPlanes and Workers are the cluster's nodes; where both are empty, those that have found each other.
	ControlPlanes, Workers []string
	// KubernetesEndpoint is where to ask Kubernetes; empty means what the nodes' kubeconfig says.
	KubernetesEndpoint string
	// Patience is how long to wait for all to be well.
	Patience time.Duration
}

// HealthOnServer lets the one node check its cluster, and hands on what it says meanwhile.
func (f *Fleet) HealthOnServer(ctx context.Context, query HealthQuery, hear func(text string)) error {
	if _, err := f.one("check health"); err != nil {
		return err
	}
	request := &cluster.HealthCheckRequest{
		WaitTimeout: durationpb.New(query.Patience),
		ClusterInfo: &cluster.ClusterInfo{
			ControlPlaneNodes: query.ControlPlanes, WorkerNodes: query.Workers, ForceEndpoint: query.KubernetesEndpoint,
		},
	}
	return receiveEach(ctx, f, func(ctx context.Context, n node) (grpc.ServerStreamingClient[cluster.HealthCheckProgress], error) {
		return n.client.ClusterClient.HealthCheck(ctx, request)
	}, func(_ string, progress *cluster.HealthCheckProgress) error {
		hear(progress.GetMessage())
		return nil
	})
}

// Health checks the cluster from here, condition by condition, and waits for each to hold. Waiting hears each new reason
// why one does not, and nothing as the reason when it does.
func (f *Fleet) Health(ctx context.Context, query HealthQuery, waiting func(condition, why string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, query.Patience, fmt.Errorf("not within %s", query.Patience))
	defer cancel()
	roster, err := f.roster(ctx, query)
	if err != nil {
		return err
	}
	check := healthCheck{
		controlPlanes: f.of(roster.controlPlanes),
		all:           f.of(slices.Concat(roster.controlPlanes, roster.workers)),
		kubernetes:    &kubernetesCheck{endpoint: query.KubernetesEndpoint, roster: roster},
	}
	check.kubernetes.fleet = check.controlPlanes
	defer check.kubernetes.close()
	for _, condition := range check.conditions() {
		last := ""
		err := condition.Wait(ctx, func(why string) {
			if why != last {
				waiting(condition.Name, why)
			}
			last = why
		})
		if err != nil {
			return err
		}
		waiting(condition.Name, "")
	}
	return nil
}

// of is the fleet of other nodes behind the same endpoints.
func (f *Fleet) of(names []string) *Fleet {
	part := &Fleet{target: f.target}
	part.target.Nodes = unique(names)
	for _, name := range part.target.Nodes {
		part.nodes = append(part.nodes, node{name: name, client: f.clients[0], proxied: true})
	}
	return part
}

// roster is the addresses of a cluster's nodes.
type roster struct {
	controlPlanes, workers []string
}

func (f *Fleet) roster(ctx context.Context, query HealthQuery) (roster, error) {
	asked := roster{controlPlanes: query.ControlPlanes, workers: query.Workers}
	if len(asked.controlPlanes)+len(asked.workers) == 0 {
		found, err := f.members(ctx)
		if err != nil {
			return roster{}, fmt.Errorf("looking for the cluster's nodes: %w", err)
		}
		asked = found
	}
	if len(asked.controlPlanes) == 0 {
		err := errors.New("cannot check health: no control plane is known")
		return roster{}, provision.WithHint(err, "name them with --control-plane-nodes")
	}
	return asked, nil
}

// members are the nodes that have found each other, as the first of the fleet sees it.
func (f *Fleet) members(ctx context.Context) (roster, error) {
	n := f.nodes[0]
	found, err := n.resources(n.to(ctx), ResourceQuery{Type: "Members.cluster.talos.dev"})
	if err != nil {
		return roster{}, fmt.Errorf("node %s: %w", n.name, explain(err))
	}
	var all roster
	for _, member := range found {
		var spec struct {
			MachineType string   `yaml:"machineType"`
			Addresses   []string `yaml:"addresses"`
		}
		if err := member.decode(&spec); err != nil {
			return roster{}, err
		}
		switch {
		case len(spec.Addresses) == 0:
			continue
		case spec.MachineType == string(provision.Worker):
			all.workers = append(all.workers, spec.Addresses[0])
		default:
			all.controlPlanes = append(all.controlPlanes, spec.Addresses[0])
		}
	}
	return all, nil
}
