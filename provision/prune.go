package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Stamp marks entries of ours in the user's client configs.
type Stamp struct {
	Cluster string `json:"cluster"`
	// StateDir is the state directory that the cluster was made from, absolute.
	StateDir string `json:"stateDir"`
}

// Stamped is what a Contexts also implements where it finds entries of ours by what they bear, whatever became of the
// state directory.
type Stamped interface {
	// Stamps lists those of all entries, each once, sorted.
	Stamps(ctx context.Context) ([]Stamp, error)
	// RemoveStamped takes away the entries that bear the stamp.
	RemoveStamped(ctx context.Context, stamp Stamp) error
}

// Litter finds what clusters left behind that are no more: in the engine by the labels, in the user's client configs by
// the stamp, and in the state directory. It needs no state directory to have survived. Where the engine does not answer,
// nothing is litter, and that is the error.
func (r *Reconciler) Litter(ctx context.Context) ([]Litter, error) {
	observed, err := r.Provider.Observe(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("looking for litter: %w", err)
	}
	stamps, err := r.stamps(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for litter: %w", err)
	}
	found := []Litter{}
	parts := observed.byCluster()
	for _, cluster := range slices.Sorted(maps.Keys(parts)) {
		part, why := r.scene(cluster, parts[cluster], stamps).remnant()
		found = append(found, part.litter(cluster, why)...)
		parts[cluster] = parts[cluster].without(part)
	}
	for _, stamp := range stamps {
		if parts[stamp.Cluster].Empty() && !recorded(stamp.StateDir, stamp.Cluster) {
			found = append(found, Litter{Kind: LitterContext, Name: stamp.StateDir, Cluster: stamp.Cluster,
				Why: "the cluster is in neither the engine nor the state directory that it was made from"})
		}
	}
	files, err := r.Store.litter(time.Now(), func(cluster string) bool { return !parts[cluster].Empty() })
	return append(found, files...), err
}

func (r *Reconciler) stamps(ctx context.Context) ([]Stamp, error) {
	stamped, ok := r.Contexts.(Stamped)
	if !ok {
		return nil, nil
	}
	return stamped.Stamps(ctx)
}

// scene gathers what is known of a cluster. A record that cannot be read is one.
func (r *Reconciler) scene(cluster string, seen Observed, stamps []Stamp) scene {
	s := scene{cluster: cluster, now: time.Now(), seen: seen, held: r.Store.isHeld(cluster)}
	record, err := r.Store.Load(cluster)
	if err == nil {
		s.desired = &record.Cluster
	}
	s.elsewhere = err != nil && !errors.Is(err, ErrNotFound)
	for _, stamp := range stamps {
		other := stamp.Cluster == cluster && stamp.StateDir != r.Store.Dir()
		s.elsewhere = s.elsewhere || other && recorded(stamp.StateDir, cluster)
	}
	return s
}

// recorded tells whether a state directory has a whole record.
func recorded(stateDir, cluster string) bool {
	_, err := os.Stat(filepath.Join(stateDir, clustersDir, cluster, clusterFile))
	return err == nil
}

// without is what is left after a part of it is gone.
func (o Observed) without(part Observed) Observed {
	return Observed{
		Machines:  slices.DeleteFunc(slices.Clone(o.Machines), func(m Machine) bool { return hasMachine(part.Machines, m) }),
		Balancers: slices.DeleteFunc(slices.Clone(o.Balancers), func(m Machine) bool { return hasMachine(part.Balancers, m) }),
		Volumes: slices.DeleteFunc(slices.Clone(o.Volumes), func(v Volume) bool {
			return slices.ContainsFunc(part.Volumes, func(other Volume) bool { return other.Name == v.Name })
		}),
		Networks: slices.DeleteFunc(slices.Clone(o.Networks), func(n ObservedNetwork) bool {
			return slices.ContainsFunc(part.Networks, func(other ObservedNetwork) bool { return other.ID == n.ID })
		}),
	}
}

func hasMachine(machines []Machine, wanted Machine) bool {
	return slices.ContainsFunc(machines, func(m Machine) bool { return m.ID == wanted.ID })
}

// Prune takes away what Litter found. Each cluster's part is looked at again under its lock, and what is no litter any more
// stays. It can be run again after any end.
func (r *Reconciler) Prune(ctx context.Context, found []Litter) error {
	recorder := NewRecorder(r.Progress)
	var errs []error
	for _, cluster := range engineClusters(found) {
		err := r.Store.Held(cluster, func() error { return r.pruneCluster(ctx, recorder, cluster, found) })
		var held *HeldError
		if errors.As(err, &held) {
			continue
		}
		errs = append(errs, err)
	}
	for _, one := range found {
		if act := r.pruning(one); act != nil {
			errs = append(errs, recorder.Run(PhaseRemove, fmt.Sprintf("remove %s %s", one.Kind, one.shown()), func(func(string)) error {
				return act(ctx)
			}))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("pruning: %w", err)
	}
	return nil
}

// engineClusters are those that have litter in the engine.
func engineClusters(found []Litter) []string {
	var clusters []string
	for _, one := range found {
		if one.Kind == LitterMachine || one.Kind == LitterVolume || one.Kind == LitterNetwork {
			clusters = append(clusters, one.Cluster)
		}
	}
	slices.Sort(clusters)
	return slices.Compact(clusters)
}

// pruneCluster removes what is still litter, and was told to be. The cluster's lock is held.
func (r *Reconciler) pruneCluster(ctx context.Context, recorder *Recorder, cluster string, found []Litter) error {
	observed, err := r.Provider.Observe(ctx, cluster)
	if err != nil {
		return err
	}
	stamps, err := r.stamps(ctx)
	if err != nil {
		return err
	}
	scene := r.scene(cluster, observed, stamps)
	// The holder is this process.
	scene.held = false
	part, _ := scene.remnant()
	for _, one := range part.litter(cluster, "") {
		told := slices.ContainsFunc(found, func(l Litter) bool { return l.Kind == one.Kind && l.Name == one.Name && l.Cluster == cluster })
		if !told {
			return fmt.Errorf("cluster %q has changed meanwhile: %s %q is new", cluster, one.Kind, one.Name)
		}
	}
	if part.Empty() {
		return nil
	}
	return recorder.Run(PhaseRemove, "remove what is left of cluster "+cluster, func(func(string)) error {
		return r.Provider.Remove(ctx, part)
	})
}

// pruning is what removes a piece of litter outside the engine; nil for one in the engine.
func (r *Reconciler) pruning(one Litter) func(context.Context) error {
	switch one.Kind {
	case LitterContext:
		return func(ctx context.Context) error {
			stamped, ok := r.Contexts.(Stamped)
			if !ok {
				return nil
			}
			return stamped.RemoveStamped(ctx, Stamp{Cluster: one.Cluster, StateDir: one.Name})
		}
	case LitterFile:
		return func(context.Context) error { return r.Store.sweep(one) }
	default:
		return nil
	}
}

// shown is the name that tells the piece from others to a reader.
func (l Litter) shown() string {
	if l.Kind == LitterContext {
		return l.Cluster
	}
	return l.Name
}
