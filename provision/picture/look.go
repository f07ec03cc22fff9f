package picture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// Inventory is what Look asks of an engine. Machine looks for a machine by the engine's own ID, whatever its name and
// labels are; there is none where found is false.
type Inventory interface {
	Observe(ctx context.Context, cluster string) (provision.Observed, error)
	Machine(ctx context.Context, id string) (machine provision.Machine, found bool, err error)
}

// NodeAPI is what Look asks of nodes. Interview answers within ctx always.
type NodeAPI interface {
	Interview(ctx context.Context, node provision.Node) Interview
	Close() error
}

// KubernetesAPI is what Look asks of Kubernetes: one list of all Nodes, as the API has it now.
type KubernetesAPI interface {
	Nodes(ctx context.Context) ([]KubernetesNode, error)
	Close() error
}

// Opener opens a cluster's APIs, without waiting for a connection.
type Opener struct {
	Nodes      func(provision.Access) (NodeAPI, error)
	Kubernetes func(provision.Access) (KubernetesAPI, error)
}

const (
	// engineLimit is how long the engine may take, which is on this host.
	engineLimit = 10 * time.Second
	// askLimit is how long the nodes and Kubernetes may take while no node has answered. A control plane that has just
	// died costs whoever is sent to it one second of that.
	askLimit = 3 * time.Second
	// askGrace is how long they may take after the last node that answered: a node that hangs does not hold up the look.
	askGrace = time.Second
	// askAgain is the pause before a node is asked a second time whose answer was an error.
	askAgain = 100 * time.Millisecond
)

// Look asks all sources of the record's cluster side by side, and never fails: why a source does not answer is in what is
// returned. The record is that of the state directory, or has the cluster's name only where it is not stored.
func Look(ctx context.Context, engine Inventory, open Opener, record provision.Record) Sources {
	sources := Sources{Cluster: record.Cluster.Name, At: time.Now(), Known: record.Machines, Interviews: map[string]Interview{}}
	if len(record.Cluster.Nodes) > 0 {
		sources.Desired = &record.Cluster
	}
	limited, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()
	observed, err := engine.Observe(limited, record.Cluster.Name)
	if err != nil {
		sources.EngineError = err.Error()
		sources.KubernetesError = "it cannot be found without the engine"
		return sources
	}
	sources.Engine = observed
	var asked sync.WaitGroup
	asked.Go(func() { sources.Astray = astray(limited, engine, record, observed) })
	asked.Go(func() { askAll(ctx, &sources, open, record) })
	asked.Wait()
	return sources
}

// astray looks for the known machines of those desired nodes that the inventory has none for.
func astray(ctx context.Context, engine Inventory, record provision.Record, observed provision.Observed) map[string]string {
	why := map[string]string{}
	for _, node := range record.Cluster.Nodes {
		id := record.Machines[node.Name]
		if id == "" || slices.ContainsFunc(observed.Machines, func(m provision.Machine) bool { return m.Name == node.Name || m.ID == id }) {
			continue
		}
		machine, found, err := engine.Machine(ctx, id)
		switch {
		case err != nil:
			why[node.Name] = fmt.Sprintf("the engine does not say whether it has %s: %v", short(id), err)
		case found:
			why[node.Name] = fmt.Sprintf("the engine has %s still, as %s", short(id), machine.Name)
		}
	}
	return why
}

// askAll fills in what Kubernetes and the nodes say.
func askAll(ctx context.Context, sources *Sources, open Opener, record provision.Record) {
	running := runningNodes(sources.Engine)
	access, err := accessOf(record, sources.Engine, running)
	if err != nil {
		sources.KubernetesError = err.Error()
		for _, node := range running {
			sources.Interviews[node.Name] = Interview{Error: err.Error()}
		}
		return
	}
	ctx, answered, stop := patiently(ctx)
	defer stop()
	var asked sync.WaitGroup
	asked.Go(func() { sources.Interviews = interviews(ctx, answered, open, access, running) })
	asked.Go(func() {
		nodes, err := kubernetesNodes(ctx, open, access)
		if err != nil {
			sources.KubernetesError = err.Error()
		}
		sources.Kubernetes = nodes
	})
	asked.Wait()
}

// patiently bounds the asking: it ends askLimit after now, or askGrace after answered was called last.
func patiently(ctx context.Context) (limited context.Context, answered, stop func()) {
	limited, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(askLimit, func() { cancel(errors.New("it took too long to answer")) })
	answered = func() { timer.Reset(askGrace) }
	return limited, answered, func() {
		timer.Stop()
		cancel(nil)
	}
}

// runningNodes are those with a machine that runs, as the engine has them.
func runningNodes(observed provision.Observed) []provision.Node {
	var nodes []provision.Node
	for _, machine := range observed.Machines {
		if machine.State == provision.MachineRunning {
			nodes = append(nodes, provision.Node{Name: machine.Name, Role: machine.Role, IP: machine.IP})
		}
	}
	return nodes
}

// accessOf is how to reach the cluster. Its error says why nobody can be asked: waiting for what does not run is vain.
func accessOf(record provision.Record, observed provision.Observed, running []provision.Node) (provision.Access, error) {
	if len(record.Cluster.Nodes) == 0 || len(record.Secrets) == 0 {
		return provision.Access{}, errors.New("it cannot be asked without the cluster's secrets, which are not in the state directory")
	}
	if !slices.ContainsFunc(running, func(n provision.Node) bool { return n.Role == provision.ControlPlane }) {
		return provision.Access{}, errors.New("no control plane runs")
	}
	access := provision.AccessOf(record, observed)
	if !access.MachineAPI.IsValid() || !access.KubernetesAPI.IsValid() {
		return provision.Access{}, errors.New("the load balancer, or the first control plane where there is none, does not run")
	}
	return access, nil
}

// interviews asks all nodes side by side, and calls answered for each that does.
func interviews(ctx context.Context, answered func(), open Opener, access provision.Access, nodes []provision.Node) map[string]Interview {
	answers := make([]Interview, len(nodes))
	api, err := open.Nodes(access)
	if err == nil {
		defer api.Close()
	}
	var asked sync.WaitGroup
	for i, node := range nodes {
		switch {
		case err != nil:
			answers[i].Error = err.Error()
		case !node.IP.IsValid():
			answers[i].Error = "the engine tells no address of it"
		default:
			asked.Go(func() {
				if answers[i] = interview(ctx, api, node); answers[i].Error == "" {
					answered()
				}
			})
		}
	}
	asked.Wait()
	named := map[string]Interview{}
	for i, node := range nodes {
		if cause := context.Cause(ctx); cause != nil && answers[i].Error != "" {
			answers[i].Error = cause.Error()
		}
		named[node.Name] = answers[i]
	}
	return named
}

// interview asks a node, and once more where that was an error: a connection breaks when a control plane dies that it
// went through, and the next one goes through another.
func interview(ctx context.Context, api NodeAPI, node provision.Node) Interview {
	answer := api.Interview(ctx, node)
	if answer.Error == "" {
		return answer
	}
	pause := time.NewTimer(askAgain)
	defer pause.Stop()
	select {
	case <-pause.C:
		return api.Interview(ctx, node)
	case <-ctx.Done():
		return answer
	}
}

func kubernetesNodes(ctx context.Context, open Opener, access provision.Access) ([]KubernetesNode, error) {
	api, err := open.Kubernetes(access)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	nodes, err := api.Nodes(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	return nodes, err
}
