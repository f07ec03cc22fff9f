package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

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
	// StatusPaused: no machine runs, and all that are there are frozen.
	StatusPaused Status = "paused"
	// StatusAbsent: it is stored, and nothing of it is in the engine.
	StatusAbsent Status = "absent"
	// StatusUnknown: the engine does not answer. A Reconciler answers with an error instead.
	StatusUnknown Status = "unknown"
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
	// MachineAPI and KubernetesAPI are where the host reaches the cluster; invalid where what listens there does not run.
	MachineAPI    netip.AddrPort `json:"machineAPI"`
	KubernetesAPI netip.AddrPort `json:"kubernetesAPI"`
}

// Preview says what Create would do, and does nothing.
func (r *Reconciler) Preview(ctx context.Context, request Request) (Cluster, []Step, error) {
	w := r.begin()
	if _, err := w.desire(ctx, request); err != nil {
		return Cluster{}, nil, fmt.Errorf("planning cluster %q: %w", request.Name, err)
	}
	return w.record.Cluster, w.steps, nil
}

// List tells of every cluster that is stored or seen, sorted by name.
func (r *Reconciler) List(ctx context.Context) ([]Summary, error) {
	observed, err := r.Provider.Observe(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("observing clusters: %w", err)
	}
	parts := observed.byCluster()
	stored, err := r.Store.List()
	if err != nil {
		return nil, err
	}
	for _, name := range stored {
		if _, seen := parts[name]; !seen {
			parts[name] = Observed{}
		}
	}
	summaries := []Summary{}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		summary, err := r.Summarize(name, parts[name])
		if err != nil {
			return nil, err
		}
		summaries = append(summaries, summary)
	}
	return summaries, nil
}

// Show tells of one cluster. ErrNotFound where it is neither stored nor seen.
func (r *Reconciler) Show(ctx context.Context, name string) (Summary, error) {
	observed, err := r.Provider.Observe(ctx, name)
	if err != nil {
		return Summary{}, fmt.Errorf("observing cluster %q: %w", name, err)
	}
	summary, err := r.Summarize(name, observed)
	if err != nil {
		return Summary{}, err
	}
	if !summary.Stored && observed.Empty() {
		err := fmt.Errorf("cannot find cluster %q: %w", name, ErrNotFound)
		return Summary{}, WithHint(err, "bronze cluster list shows those that are there")
	}
	return summary, nil
}

// Summarize tells of a cluster that was observed already.
func (r *Reconciler) Summarize(name string, observed Observed) (Summary, error) {
	summary := Summary{Name: name, Provider: r.Provider.Name(), Observed: observed}
	for _, network := range observed.Networks {
		summary.Subnet = network.Subnet
	}
	record, err := r.Store.Load(name)
	if errors.Is(err, ErrNotFound) {
		summary.Status = status(nil, observed)
		return summary, nil
	}
	if err != nil {
		return Summary{}, err
	}
	access := AccessOf(record, observed)
	summary.Stored, summary.Cluster = true, &record.Cluster
	summary.Provider, summary.Subnet = record.Cluster.Provider, record.Cluster.Network.Subnet
	summary.MachineAPI, summary.KubernetesAPI = access.MachineAPI, access.KubernetesAPI
	summary.Status = status(record.Cluster.machineNames(), observed)
	return summary, nil
}

// status compares the desired machines with those that are seen; where nothing is desired, the seen are.
func status(desired []string, observed Observed) Status {
	if observed.Empty() {
		return StatusAbsent
	}
	names := slices.Concat(desired, observed.names())
	slices.Sort(names)
	names = slices.Compact(names)
	running := 0
	for _, name := range names {
		if observed.runs(name) {
			running++
		}
	}
	switch {
	case running == len(names):
		return StatusRunning
	case running > 0:
		return StatusPartial
	case observed.paused():
		return StatusPaused
	default:
		return StatusStopped
	}
}

// paused tells whether all machines are.
func (o Observed) paused() bool {
	machines := o.all()
	return len(machines) > 0 && !slices.ContainsFunc(machines, func(m Machine) bool { return m.State != MachinePaused })
}

// byCluster parts what is observed of many clusters.
func (o Observed) byCluster() map[string]Observed {
	parts := map[string]Observed{}
	for _, machine := range o.Machines {
		part := parts[machine.Cluster]
		part.Machines = append(part.Machines, machine)
		parts[machine.Cluster] = part
	}
	for _, balancer := range o.Balancers {
		part := parts[balancer.Cluster]
		part.Balancers = append(part.Balancers, balancer)
		parts[balancer.Cluster] = part
	}
	for _, volume := range o.Volumes {
		part := parts[volume.Cluster]
		part.Volumes = append(part.Volumes, volume)
		parts[volume.Cluster] = part
	}
	for _, network := range o.Networks {
		part := parts[network.Cluster]
		part.Networks = append(part.Networks, network)
		parts[network.Cluster] = part
	}
	return parts
}
