package provision

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors that a caller of Reconciler branches on.
var (
	// ErrNotFound: there is no such cluster, neither stored nor in the engine.
	ErrNotFound = errors.New("no such cluster")
	// ErrDiffers: the cluster is there, and not as it is asked for now.
	ErrDiffers = errors.New("is there already and differs")
	// ErrStateLost: the engine has parts of the cluster, and its secrets are not in the state directory.
	ErrStateLost = errors.New("is in the engine but not in the state directory")
	// ErrSubnetTaken: the subnet overlaps another network of the engine or of the host.
	ErrSubnetTaken = errors.New("taken")
	// ErrClash: an object of that name is there and does not bear the cluster's labels.
	ErrClash = errors.New("is there and not of this cluster")
)

// DefaultPatience is how long a Create waits for the cluster to be healthy.
const DefaultPatience = 5 * time.Minute

// Reconciler brings clusters from what is observed to what is desired. Create and Destroy are the same loop: observe,
// plan, do. Destroy, List and Show need no Configs and no Connector.
type Reconciler struct {
	Provider  Provider
	Store     *Store
	Configs   MachineConfigs
	Connector Connector
	// Contexts may be nil: then no client context is touched.
	Contexts Contexts
	// Recall rebuilds the record of a cluster that is not stored; nil leaves such a cluster alone.
	Recall func(ctx context.Context, name string) (Record, error)
	// Progress may be nil.
	Progress Progress
	// Patience bounds the waiting of a Create or a Start; 0 means DefaultPatience.
	Patience time.Duration
	// Hasty lets a Create end without waiting for health, once etcd is bootstrapped, and a Start once the machines run.
	Hasty bool
	// Uninjected lets a Create make nodes without their machine configs, which wait in maintenance for those. Then it
	// ends once they run.
	Uninjected bool
}

// Result is what was done to a cluster.
type Result struct {
	// Access is how to reach a cluster that was created or started; zero otherwise.
	Access Access
	// Steps are those that were needed; none means that the cluster was there, or gone, already.
	Steps []Step
	// Timings are in the order in which the phases began.
	Timings []Timing
	// Warnings are for the user to read; the work is done all the same.
	Warnings []string
}

// work is one run of the loop.
type work struct {
	*Reconciler
	*Recorder
	record Record
	steps  []Step
	// repairs tells that parts of the cluster were there before.
	repairs bool
}

func (r *Reconciler) begin() *work {
	return &work{Reconciler: r, Recorder: NewRecorder(r.Progress)}
}

func (w *work) result() Result {
	return Result{Steps: w.steps, Timings: w.Timings()}
}

// load is the stored record of a cluster, or what is recalled of it.
func (r *Reconciler) load(ctx context.Context, name string) (Record, error) {
	record, err := r.Store.Load(name)
	if errors.Is(err, ErrNotFound) && r.Recall != nil {
		return r.Recall(ctx, name)
	}
	return record, err
}

// observe asks the provider, and the control planes of a stored cluster whether etcd was bootstrapped.
func (r *Reconciler) observe(ctx context.Context, name string, record Record) (Observed, error) {
	observed, err := r.Provider.Observe(ctx, name)
	if err != nil {
		return Observed{}, fmt.Errorf("observing cluster %q: %w", name, err)
	}
	if len(record.Cluster.Nodes) == 0 {
		return observed, nil
	}
	if access := AccessOf(record, observed); access.MachineAPI.IsValid() {
		observed.Bootstrapped = r.bootstrapped(ctx, access, observed)
	}
	return observed, nil
}

// askPatience bounds the questions to nodes that may be anywhere in their boot.
const askPatience = 2 * time.Second

// bootstrapped tells whether a control plane that runs has a healthy etcd. Where none says so, etcd is not known to be
// founded, and the plan bootstraps: Bootstrap does no harm to a node that was.
func (r *Reconciler) bootstrapped(ctx context.Context, access Access, observed Observed) bool {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	machines, err := r.Connector.Machines(access)
	if err != nil {
		return false
	}
	defer machines.Close()
	for _, node := range access.Cluster.ControlPlanes() {
		if !observed.runs(node.Name) {
			continue
		}
		if why, err := healthy(ctx, machines, node, etcdService); why == "" && err == nil {
			return true
		}
	}
	return false
}
