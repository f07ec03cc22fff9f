package provision

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Errors that a caller of Reconciler branches on.
var (
	// ErrNotFound: there is no such cluster, neither stored nor in the engine.
	ErrNotFound = errors.New("no such cluster")
	// ErrDiffers: the cluster is there, and not as it is asked for now.
	ErrDiffers = errors.New("is there already and differs")
	// ErrStateLost: the engine has machines of the cluster, and its secrets are not in the state directory.
	ErrStateLost = errors.New("has machines but no stored state")
	// ErrSubnetTaken: the subnet overlaps another network of the engine or of the host.
	ErrSubnetTaken = errors.New("subnet is taken")
	// ErrClash: an object of that name is there and does not bear the cluster's labels.
	ErrClash = errors.New("is there and not of this cluster")
)

// Reconciler brings clusters from what is observed to what is desired. Create and Destroy are the same loop: observe,
// plan, do. All fields but Contexts, Progress and Patience are needed; Destroy and List need no Configs and no
// Connector.
type Reconciler struct {
	Provider  Provider
	Store     *Store
	Configs   MachineConfigs
	Connector Connector
	// Contexts may be nil: then no client context is touched.
	Contexts Contexts
	// Progress may be nil.
	Progress Progress
	// Patience bounds the waiting of a Create; 0 means DefaultPatience.
	Patience time.Duration
}

// DefaultPatience is how long a Create waits for the cluster to be healthy.
const DefaultPatience = 5 * time.Minute

// Result is what a Create or Destroy did.
type Result struct {
	Access Access
	// Steps are those that were needed; none means that the cluster was there, or gone, already.
	Steps []Step
	// Timings are in the order in which the phases ended.
	Timings []Timing
	// Warnings are for the user to read; the work is done all the same.
	Warnings []string
}

// Status says in one word how a cluster is.
type Status string

// The statuses of a cluster.
const (
	// StatusRunning: every desired machine runs.
	StatusRunning Status = "running"
	// StatusPartial: some machines are missing or do not run.
	StatusPartial Status = "partial"
	// StatusStopped: no machine runs.
	StatusStopped Status = "stopped"
	// StatusAbsent: it is stored, and nothing of it is in the engine.
	StatusAbsent Status = "absent"
)

// Summary is one cluster as stored and as seen.
type Summary struct {
	Name     string       `json:"name"`
	Provider string       `json:"provider"`
	Status   Status       `json:"status"`
	Subnet   netip.Prefix `json:"subnet"`
	// Stored is false where the state directory knows nothing of it.
	Stored bool `json:"stored"`
	// Cluster is the desired state; nil where it is not stored.
	Cluster  *Cluster `json:"cluster,omitempty"`
	Observed Observed `json:"observed"`
	// MachineAPI and KubernetesAPI are where the host reaches the first control plane; invalid where it does not run.
	MachineAPI    netip.AddrPort `json:"machineAPI"`
	KubernetesAPI netip.AddrPort `json:"kubernetesAPI"`
}

// Preview says what Create would do, and does nothing.
func (r *Reconciler) Preview(ctx context.Context, request Request) (Cluster, []Step, error) {
	return Cluster{}, nil, errors.ErrUnsupported
}

// Create makes the requested cluster, or finishes one that was begun, and waits until it is healthy. Errors: ErrDiffers,
// ErrStateLost, ErrSubnetTaken, ErrClash, and *HeldError where another process works on a cluster of that name.
func (r *Reconciler) Create(ctx context.Context, request Request) (Result, error) {
	return Result{}, errors.ErrUnsupported
}

// Destroy takes away all that bears the cluster's labels, its client contexts and its state, whichever of them are there.
// ErrNotFound where none is.
func (r *Reconciler) Destroy(ctx context.Context, name string) (Result, error) {
	return Result{}, errors.ErrUnsupported
}

// List tells of every cluster that is stored or seen, sorted by name.
func (r *Reconciler) List(ctx context.Context) ([]Summary, error) {
	return nil, errors.ErrUnsupported
}

// Show tells of one cluster. ErrNotFound where it is neither stored nor seen.
func (r *Reconciler) Show(ctx context.Context, name string) (Summary, error) {
	return Summary{}, errors.ErrUnsupported
}

// Access tells how to reach a stored cluster whose first control plane runs.
func (r *Reconciler) Access(ctx context.Context, name string) (Access, error) {
	return Access{}, errors.ErrUnsupported
}
