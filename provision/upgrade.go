package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Upgrade is what is asked of an upgrade.
type Upgrade struct {
	// Image is the node image's reference in the engine.
	Image string
	// Undrained leaves the pods where they are: they stop with their node, and come back with it.
	Undrained bool
}

// Upgrade swaps the machines of a cluster for ones of another image, one after the other: control planes first, as no
// kubelet may be newer than its API server, then workers, then the balancer. Each keeps its name, address, ports and
// volumes. A node that does not become healthy gets its old image back, and the upgrade ends; run again it goes on with
// the nodes that are not of the image yet, as it does after an interruption. The engine must have the image.
func (r *Reconciler) Upgrade(ctx context.Context, name string, asked Upgrade) (Result, error) {
	if err := CheckName(name); err != nil {
		return Result{}, err
	}
	var result Result
	err := r.Store.Held(name, func() (err error) {
		result, err = r.upgrade(ctx, name, asked)
		return err
	})
	if err != nil {
		return result, fmt.Errorf("upgrading cluster %q: %w", name, err)
	}
	return result, nil
}

// PreviewUpgrade says what Upgrade would do, and does nothing.
func (r *Reconciler) PreviewUpgrade(ctx context.Context, name string, asked Upgrade) ([]Step, error) {
	u, err := r.prepareUpgrade(ctx, name, asked)
	if err != nil {
		return nil, fmt.Errorf("planning the upgrade of cluster %q: %w", name, err)
	}
	return u.steps, nil
}

// upgrading is one run of an upgrade.
type upgrading struct {
	*work
	asked Upgrade
	// target is the cluster as it is to be.
	target Cluster
	// before is what was observed when the upgrade began.
	before Observed
	// away is the node that does not run, as an upgrade left it that was interrupted; empty where all do.
	away string

	access     Access
	machines   Machines
	kubernetes Kubernetes
}

func (r *Reconciler) prepareUpgrade(ctx context.Context, name string, asked Upgrade) (*upgrading, error) {
	u := &upgrading{work: r.begin(), asked: asked}
	if asked.Image == "" {
		return nil, fault("name a node image with --image", "cannot tell which node image to use")
	}
	var err error
	if u.record, err = r.load(ctx, name); err != nil {
		return nil, err
	}
	if u.before, err = r.Provider.Observe(ctx, name); err != nil {
		return nil, err
	}
	if u.target, err = r.targetOf(ctx, u.record.Cluster, asked.Image); err != nil {
		return nil, err
	}
	if err := r.Provider.Preflight(ctx, u.target); err != nil {
		return nil, err
	}
	if u.away, err = awayFrom(u.target, u.before); err != nil {
		return nil, err
	}
	u.steps = planUpgrade(u.target, u.before, u.away)
	return u, nil
}

// awayFrom finds the one node that does not run. An upgrade leaves no more than one so; where there are others, it is not
// safe to take down any.
func awayFrom(cluster Cluster, observed Observed) (string, error) {
	away := ""
	for _, node := range cluster.Nodes {
		if observed.runs(node.Name) {
			continue
		}
		if away != "" {
			err := fmt.Errorf("cannot upgrade while both %q and %q do not run", away, node.Name)
			return "", WithHint(err, "bronze cluster start "+cluster.Name+", or the same bronze cluster create again")
		}
		away = node.Name
	}
	return away, nil
}

// targetOf is the cluster with another image, and with the Kubernetes that this brings.
func (r *Reconciler) targetOf(ctx context.Context, cluster Cluster, image string) (Cluster, error) {
	cluster.Image = image
	cluster.Nodes = slices.Clone(cluster.Nodes)
	for i := range cluster.Nodes {
		cluster.Nodes[i].Image = ""
	}
	appraiser, ok := r.Provider.(Appraiser)
	if !ok {
		return cluster, nil
	}
	version, err := appraiser.KubernetesVersion(ctx, image)
	if err != nil {
		return Cluster{}, err
	}
	if version != "" {
		cluster.KubernetesVersion = version
	}
	return cluster, nil
}

// planUpgrade lists the machines that are not of the target's image, one after the other. A node that is away comes
// first, whatever image it had.
func planUpgrade(target Cluster, observed Observed, away string) []Step {
	var steps []Step
	add := func(action Action, name string) {
		step := Step{Action: action, Target: name}
		if last := len(steps) - 1; last >= 0 {
			step.After = []int{last}
		}
		steps = append(steps, step)
	}
	if away != "" {
		add(UpgradeNode, away)
	}
	for _, node := range target.Nodes {
		if node.Name != away && !observed.hasImage(node.Name, target.Image) {
			add(UpgradeNode, node.Name)
		}
	}
	if target.Balancer != nil && !observed.hasImage(target.Balancer.Name, target.Image) {
		add(UpgradeBalancer, target.Balancer.Name)
	}
	return steps
}

// hasImage goes by the reference that the machine was made from. An engine shows another where the reference has come to
// stand for another image since.
func (o Observed) hasImage(name, image string) bool {
	for _, machine := range o.all() {
		if machine.Name == name {
			return machine.Image == image
		}
	}
	return false
}

func (r *Reconciler) upgrade(ctx context.Context, name string, asked Upgrade) (Result, error) {
	u, err := r.prepareUpgrade(ctx, name, asked)
	if err != nil {
		return Result{}, err
	}
	if err := u.connect(ctx); err != nil {
		return u.result(), err
	}
	defer func() { u.machines.Close(); u.kubernetes.Close() }()
	// One node at a time is only safe while all others are well.
	if u.away == "" {
		if err := u.await(ctx, u.record.Cluster, revived); err != nil {
			return u.result(), WithHint(err, "make the cluster healthy first, such as by the same bronze cluster create again")
		}
	}
	err = Schedule(ctx, u.steps, func(ctx context.Context, step Step) error {
		return u.Run(step.phase(), step.String(), func(waiting func(string)) error { return u.step(ctx, step, waiting) })
	})
	if err != nil {
		return u.result(), WithHint(err, "run the same upgrade again to go on with the nodes that are left")
	}
	return u.finish(ctx)
}

// connect opens the cluster's APIs. A balancer that an interrupted upgrade took away is made first.
func (u *upgrading) connect(ctx context.Context) (err error) {
	observed := u.before
	if balancer := u.target.Balancer; balancer != nil && !observed.runs(balancer.Name) {
		if err := u.createBalancer(ctx, u.target); err != nil {
			return err
		}
		if observed, err = u.Provider.Observe(ctx, u.target.Name); err != nil {
			return err
		}
	}
	u.access = AccessOf(u.record, observed)
	if u.machines, err = u.Connector.Machines(u.access); err != nil {
		return err
	}
	u.kubernetes, err = u.Connector.Kubernetes(u.access)
	if err != nil {
		return errors.Join(err, u.machines.Close())
	}
	return nil
}

// finish opens nodes that an earlier run left closed, and stores what the cluster is now.
func (u *upgrading) finish(ctx context.Context) (Result, error) {
	for _, node := range u.target.Nodes {
		if err := u.uncordon(ctx, node, func(string) {}); err != nil {
			return u.result(), err
		}
	}
	u.record.Cluster = u.target
	observed, err := u.Provider.Observe(ctx, u.target.Name)
	if err != nil {
		return u.result(), err
	}
	u.record.Remember(observed)
	if err := u.Store.Save(u.record); err != nil {
		return u.result(), err
	}
	u.access = AccessOf(u.record, observed)
	err = u.addContexts(ctx, u.access)
	result := u.result()
	result.Access = u.access
	return result, err
}
