package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// desire fills in the record and the steps. fresh tells that the record is to be stored: nothing of the cluster is there
// yet. Otherwise the stored record stands, and a request that says something else is refused.
func (w *work) desire(ctx context.Context, request Request) (fresh bool, err error) {
	stored, err := w.Store.Load(request.Name)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	observed, err := w.observe(ctx, request.Name, stored)
	switch {
	case err != nil:
		return false, err
	case observed.Empty():
		w.record, err = w.newRecord(ctx, request, stored)
	case known:
		w.record, err = stored, checkSame(request, stored.Cluster)
	default:
		err = WithHint(fmt.Errorf("cluster %q %w %s", request.Name, ErrStateLost, w.Store.Dir()),
			fmt.Sprintf("bronze node add %s --adopt recalls it from the engine; or name its state directory with --state-dir, or bronze cluster destroy %s", request.Name, request.Name))
	}
	if err != nil {
		return false, err
	}
	w.steps = Plan(&w.record.Cluster, observed)
	if w.Uninjected {
		w.steps = slices.DeleteFunc(w.steps, func(step Step) bool { return step.Action == Bootstrap })
	}
	return observed.Empty(), nil
}

// newRecord keeps of what was stored before, by a create that died, the secrets, which a client may hold already, and the
// subnet while it is free: the engine may be about to make the network that the dead create asked for.
func (r *Reconciler) newRecord(ctx context.Context, request Request, stored Record) (Record, error) {
	taken, err := r.takenSubnets(ctx, request.Name)
	if err != nil {
		return Record{}, err
	}
	before := stored.Cluster.Network.Subnet
	if !request.Subnet.IsValid() && before.IsValid() && !overlapsAny(before, taken) {
		request.Subnet = before
	}
	_, balanced := r.Provider.(Balancing)
	cluster, err := Expand(request, Site{Taken: taken, Balanced: balanced, Now: time.Now()})
	if err != nil {
		return Record{}, err
	}
	secrets := stored.Secrets
	if secrets == nil {
		if secrets, err = r.Configs.NewSecrets(cluster); err != nil {
			return Record{}, fmt.Errorf("making secrets: %w", err)
		}
	}
	configs, err := r.Configs.Render(cluster, secrets)
	if err != nil {
		return Record{}, fmt.Errorf("making machine configs: %w", err)
	}
	cluster.Expect = configs.Expect
	return Record{Cluster: cluster, Secrets: secrets, Configs: configs.Nodes}, nil
}

func (r *Reconciler) takenSubnets(ctx context.Context, cluster string) ([]netip.Prefix, error) {
	surveyor, ok := r.Provider.(SubnetSurveyor)
	if !ok {
		return nil, nil
	}
	return surveyor.TakenSubnets(ctx, cluster)
}

// checkSame refuses a request that would make another cluster than the stored one. A subnet that was not asked for is
// the stored one.
func checkSame(request Request, stored Cluster) error {
	if !request.Subnet.IsValid() {
		request.Subnet = stored.Network.Subnet
	}
	asked, err := Expand(request, Site{Balanced: stored.Balancer != nil, Now: stored.Created})
	if err != nil {
		return err
	}
	if differences := compare(asked, stored); len(differences) > 0 {
		err := fmt.Errorf("cluster %q %w: %s", stored.Name, ErrDiffers, strings.Join(differences, "; "))
		return WithHint(err, "ask for it as it is, or destroy it first, or choose another name")
	}
	return nil
}

// compare says in words in what the asked cluster differs from the stored one.
func compare(asked, stored Cluster) []string {
	var differences []string
	for _, field := range []struct{ name, asked, stored string }{
		{"provider", asked.Provider, stored.Provider},
		{"image", asked.Image, stored.Image},
		{"Kubernetes", asked.KubernetesVersion, stored.KubernetesVersion},
		{"subnet", asked.Network.Subnet.String(), stored.Network.Subnet.String()},
		{"MTU", fmt.Sprint(asked.Network.MTU), fmt.Sprint(stored.Network.MTU)},
		{"nodes", describeNodes(asked.Nodes), describeNodes(stored.Nodes)},
	} {
		if field.asked != field.stored {
			differences = append(differences, fmt.Sprintf("%s is %s, not %s", field.name, field.stored, field.asked))
		}
	}
	if fmt.Sprint(asked.Patches) != fmt.Sprint(stored.Patches) {
		differences = append(differences, "it has other config patches")
	}
	if fmt.Sprint(asked.Nodes) != fmt.Sprint(stored.Nodes) && len(differences) == 0 {
		differences = append(differences, "it has other ports or mounts")
	}
	return differences
}

func describeNodes(nodes []Node) string {
	var words []string
	for _, node := range nodes {
		words = append(words, fmt.Sprintf("%s (%g CPUs, %d MiB)", node.Name, node.Resources.CPUs, node.Resources.MemoryMiB))
	}
	return strings.Join(words, ", ")
}
