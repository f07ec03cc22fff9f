package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// pollInterval is short, as everything asked is on this machine, and a create is to take seconds.
	pollInterval = 50 * time.Millisecond
	// checkPatience bounds one answer: a port that the engine forwards accepts before the node listens.
	checkPatience = 5 * time.Second
)

// Condition is something to wait for.
type Condition struct {
	// Name completes "waiting for", such as "all nodes to be Ready".
	Name  string
	Phase Phase
	// Check answers why it is not so yet, or nothing when it is. An error is a reason too, unless it is ErrHopeless.
	Check func(ctx context.Context) (why string, err error)
}

// Wait polls until the condition holds. It tells every new reason to waiting. Its error names the condition and the last
// reason.
func (c Condition) Wait(ctx context.Context, waiting func(why string)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	last := "it was not asked"
	for {
		why, err := c.ask(ctx)
		if errors.Is(err, ErrHopeless) {
			return fmt.Errorf("waiting for %s: %w", c.Name, err)
		}
		if err == nil && why == "" {
			return nil
		}
		// An answer that was cut short by the end says nothing of the node.
		if ctx.Err() == nil {
			last = why
			waiting(why)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s (%s): %w", c.Name, last, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func (c Condition) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	why, err := c.Check(ctx)
	if err != nil {
		why = err.Error()
	}
	return why, err
}

// conditionsOf lists what to wait for of a cluster.
type conditionsOf func(Cluster, Machines, Kubernetes) []Condition

// revived are what to wait for of nodes that were away: Kubernetes calls them Ready for as long as it has not missed
// them, so that their kubelets are asked before.
func revived(cluster Cluster, machines Machines, kubernetes Kubernetes) []Condition {
	kubelets := Condition{Name: "all kubelets to be healthy", Phase: PhaseReady,
		Check: func(ctx context.Context) (string, error) {
			return everyHealthy(ctx, machines, cluster.Nodes, "kubelet")
		}}
	return append([]Condition{kubelets}, conditions(cluster, machines, kubernetes)...)
}

// conditions are what a Create waits for, in the order in which they come true.
func conditions(cluster Cluster, machines Machines, kubernetes Kubernetes) []Condition {
	list := []Condition{
		{Name: "etcd to be healthy", Phase: PhaseEtcd, Check: func(ctx context.Context) (string, error) {
			return everyHealthy(ctx, machines, cluster.ControlPlanes(), etcdService)
		}},
		{Name: "the Kubernetes API to serve", Phase: PhaseAPI, Check: kubernetes.APIServes},
	}
	if cluster.Expect.NodesReady {
		names := nodeNames(cluster.Nodes)
		list = append(list, Condition{Name: "all nodes to be Ready", Phase: PhaseReady,
			Check: func(ctx context.Context) (string, error) { return kubernetes.NodesReady(ctx, names) }})
	}
	if cluster.Expect.CoreDNS {
		list = append(list, Condition{Name: "CoreDNS to be Available", Phase: PhaseCoreDNS,
			Check: func(ctx context.Context) (string, error) {
				return kubernetes.DeploymentAvailable(ctx, "kube-system", "coredns")
			}})
	}
	return list
}

func nodeNames(nodes []Node) []string {
	var names []string
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	return names
}

// etcdService is what the machine API calls it.
const etcdService = "etcd"

// everyHealthy names the first of the nodes whose service of that ID is not healthy yet.
func everyHealthy(ctx context.Context, machines Machines, nodes []Node, id string) (string, error) {
	for _, node := range nodes {
		why, err := healthy(ctx, machines, node, id)
		if err != nil {
			return "", fmt.Errorf("%s: %w", node.Name, err)
		}
		if why != "" {
			return node.Name + ": " + why, nil
		}
	}
	return "", nil
}

// healthy tells why the node's service is not.
func healthy(ctx context.Context, machines Machines, node Node, id string) (string, error) {
	services, err := machines.Services(ctx, node)
	if err != nil {
		return "", err
	}
	for _, service := range services {
		if service.ID != id {
			continue
		}
		if service.Healthy {
			return "", nil
		}
		return strings.TrimSpace(id + " is " + service.State + " " + service.Message), nil
	}
	return "it has no service " + id + " yet", nil
}
