package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

const image = "bronze.local/node:v0.1.0"

// world is an engine, a state directory and client contexts: what outlives a process.
type world struct {
	engine   *providertest.Memory
	store    *provision.Store
	contexts *providertest.Contexts
}

// newWorld has a cluster "dev" of so many nodes, all of which know one another.
func newWorld(t *testing.T, controlPlanes, workers int) *world {
	t.Helper()
	store, err := provision.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{engine: providertest.NewMemory(image), store: store, contexts: &providertest.Contexts{}}
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = "dev", image, "v1.37.2"
	request.ControlPlanes, request.Workers = controlPlanes, workers
	creator := &provision.Reconciler{
		Provider: w.engine, Store: w.store, Configs: machineconfig.Generator{},
		Connector: providertest.APIs{Engine: w.engine}, Contexts: w.contexts,
	}
	if _, err := creator.Create(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for range 2 * controlPlanes {
		w.look(t)
	}
	return w
}

// runner is a new process.
func (w *world) runner() *reconcile.Runner {
	return &reconcile.Runner{
		Engine: w.engine, Store: w.store, Connector: providertest.Reconciling{Engine: w.engine}, Contexts: w.contexts,
		Patience: 10 * time.Second,
	}
}

func (w *world) look(t *testing.T) picture.Picture {
	t.Helper()
	return picture.Join(reconcile.Look(t.Context(), w.engine, providertest.Reconciling{Engine: w.engine}, w.record(t)))
}

func (w *world) record(t *testing.T) provision.Record {
	t.Helper()
	record, err := w.store.Load("dev")
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// mend is bronze cluster reconcile --now.
func (w *world) mend(ctx context.Context, missing reconcile.Missing) (reconcile.Outcome, error) {
	return w.runner().Mend(ctx, "dev", reconcile.Policy{Missing: missing}, nil)
}

// whole tells what keeps the cluster from being one of so many nodes that all run, are known to all, and nobody else is.
func (w *world) whole(t *testing.T, controlPlanes, workers int) error {
	t.Helper()
	var errs []error
	p, counted := w.look(t), map[provision.Role]int{}
	for _, node := range p.Nodes {
		counted[node.Role]++
		if node.State != picture.Running || node.Desired == nil || node.Kubernetes == nil || node.Affiliate == nil {
			errs = append(errs, fmt.Errorf("%s is %s: %s", node.Name, node.State, node.Why))
		}
		if node.Role == provision.ControlPlane && (node.Etcd == nil || node.Etcd.Learner) {
			errs = append(errs, fmt.Errorf("%s does not vote", node.Name))
		}
		if node.Desired != nil && node.Desired.Replaces != "" {
			errs = append(errs, fmt.Errorf("%s still replaces %s", node.Name, node.Desired.Replaces))
		}
	}
	if len(p.Silent) > 0 {
		errs = append(errs, fmt.Errorf("silent: %v", p.Silent))
	}
	if counted[provision.ControlPlane] != controlPlanes || counted[provision.Worker] != workers {
		errs = append(errs, fmt.Errorf("there are %v, want %d and %d", counted, controlPlanes, workers))
	}
	if q := p.Quorum; q.Members != controlPlanes || q.Alive != controlPlanes || !q.Agreed || q.Learners > 0 {
		errs = append(errs, fmt.Errorf("quorum %+v", q))
	}
	return errors.Join(append(errs, w.tidy(t))...)
}

// tidy tells what the balancer and the state directory have that the cluster has not.
func (w *world) tidy(t *testing.T) error {
	t.Helper()
	record := w.record(t)
	var errs []error
	var want []string
	for _, node := range record.Cluster.ControlPlanes() {
		want = append(want, node.IP.String())
	}
	var got []string
	for _, ip := range w.engine.Backends("dev-loadbalancer") {
		got = append(got, ip.String())
	}
	if !slices.Equal(want, got) {
		errs = append(errs, fmt.Errorf("the balancer carries to %v, want %v", got, want))
	}
	observed, err := w.engine.Observe(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range observed.Machines {
		if record.Machines[machine.Name] != machine.ID {
			errs = append(errs, fmt.Errorf("the ID of %s is not remembered", machine.Name))
		}
	}
	if len(record.Configs) != len(record.Cluster.Nodes) || len(record.Machines) != len(record.Cluster.Nodes) {
		errs = append(errs, fmt.Errorf("%d nodes have %d configs and %d IDs", len(record.Cluster.Nodes), len(record.Configs), len(record.Machines)))
	}
	return errors.Join(errs...)
}

// steps are those of an outcome in words.
func steps(outcome reconcile.Outcome) string {
	var words []string
	for _, plan := range outcome.Plans {
		for _, step := range plan.Steps {
			words = append(words, step.String())
		}
	}
	return strings.Join(words, "\n")
}
