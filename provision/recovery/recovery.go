// Package recovery founds the etcd of a cluster anew that lost its quorum for good, or its only control plane with its
// volumes: from the newest snapshot that is kept, from what a member that is left still has, or from a file. It proves
// first that nothing milder helps. The proof, the choice and the plans are pure; provision/reconcile does the steps. It may
// import provision and the rooms under it that it plans for, and no provider, no client of an API.
package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/backup"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// snapshotPatience bounds what a member without a quorum may take to give its data away.
const snapshotPatience = time.Minute

// ErrRefused says that a recovery may not be begun. The plan's refusals say why.
var ErrRefused = errors.New("cannot recover etcd")

// Options are what the user insists on. At most one is set.
type Options struct {
	// From is a file with a snapshot of etcd.
	From string
	// FromNode is a control plane that runs, whose own data are to be taken.
	FromNode string
}

// Prospect is what a recovery would do.
type Prospect struct {
	// Plan has the steps until etcd has all its members again, the refusals, and in its notes the arithmetic of the quorum
	// and what would be lost.
	Plan reconcile.Plan `json:"plan"`
	// Snapshot is what etcd is founded from.
	Snapshot backup.Snapshot `json:"snapshot"`
	// Resumes tells that a recovery had been begun, and is gone on with.
	Resumes bool `json:"resumes,omitempty"`
}

// Recovery recovers clusters by a Runner, whose Snapshots keep what is taken in the end.
type Recovery struct {
	Runner *reconcile.Runner
}

// Plan tells what Recover would do, and changes nothing. Where it may do nothing, the plan has refusals and ErrRefused is
// the error.
func (r Recovery) Plan(ctx context.Context, name string, options Options) (Prospect, error) {
	dir, err := os.MkdirTemp("", "bronze-recovery")
	if err != nil {
		return Prospect{}, fmt.Errorf("cannot keep what the members have: %w", err)
	}
	defer os.RemoveAll(dir)
	seen, err := r.see(ctx, name, options, backup.In(dir))
	return seen.prospect, err
}

// Recover proves again what Plan has told, under the cluster's lock, and does it. It can be run again after any end: a
// recovery that was begun is gone on with, from the same snapshot.
func (r Recovery) Recover(ctx context.Context, name string, options Options) (Prospect, error) {
	var seen sight
	err := r.Runner.Store.Held(name, func() (err error) {
		seen, err = r.see(ctx, name, options, backup.Of(r.Runner.Store, name))
		if err != nil {
			return err
		}
		return r.recover(ctx, seen)
	})
	return seen.prospect, err
}

// sight is what is known of a cluster that is to be recovered.
type sight struct {
	record   provision.Record
	recalled bool
	mark     mark
	prospect Prospect
}

// see looks, and decides. What members that answer still have is put on the shelf.
func (r Recovery) see(ctx context.Context, name string, options Options, shelf backup.Shelf) (sight, error) {
	record, recalled, err := reconcile.Load(ctx, r.Runner.Store, r.Runner.Engine, name)
	if err != nil {
		return sight{}, err
	}
	seen := sight{record: record, recalled: recalled}
	looked := r.look(ctx, record)
	begun, err := readMark(r.Runner.Store, name)
	if err != nil {
		return seen, err
	}
	if begun != nil {
		return r.resume(seen, *begun, looked)
	}
	found := prove(picture.Join(looked), options != Options{})
	seen.prospect.Plan = reconcile.Plan{Cluster: name, Refusals: found.refusals, Notes: []string{found.String()}}
	if len(found.refusals) > 0 {
		return seen, refused(found.refusals)
	}
	all, err := r.sources(ctx, record, looked, found, options, shelf)
	if err != nil {
		return seen, err
	}
	chosen, err := all.choose()
	if err != nil {
		return seen, err
	}
	seen.mark = newMark(record.Cluster, looked.Engine, chosen.Path, time.Now())
	seen.prospect.Snapshot = chosen
	plan := refound(record.Cluster, looked.Engine, seen.mark)
	plan.Notes = append(seen.prospect.Plan.Notes, all.losses(chosen, time.Now())...)
	seen.prospect.Plan = plan
	return seen, nil
}

// resume goes on with a recovery that was begun. The proof was made then, and cannot be made in the midst of it.
func (r Recovery) resume(seen sight, begun mark, looked picture.Sources) (sight, error) {
	if looked.EngineError != "" {
		return seen, fmt.Errorf("%w: the engine does not answer: %s", ErrRefused, looked.EngineError)
	}
	snapshot, err := backup.Read(begun.Snapshot)
	if err != nil {
		return seen, fmt.Errorf("going on with the recovery that was begun at %s: %w", begun.Began.Format(time.RFC3339), err)
	}
	seen.mark = begun
	plan := refound(seen.record.Cluster, looked.Engine, begun)
	plan.Notes = []string{fmt.Sprintf("the recovery that was begun at %s is gone on with", begun.Began.Format(time.RFC3339))}
	seen.prospect = Prospect{Plan: plan, Snapshot: snapshot, Resumes: true}
	return seen, nil
}

// refused is the error of refusals, with what helps as hints.
func refused(refusals []reconcile.Refusal) error {
	var errs []error
	for _, refusal := range refusals {
		errs = append(errs, provision.WithHint(fmt.Errorf("%w: %s: %s", ErrRefused, refusal.Node, refusal.Why), refusal.Offer))
	}
	return errors.Join(errs...)
}

func (r Recovery) look(ctx context.Context, record provision.Record) picture.Sources {
	connector := r.Runner.Connector
	return picture.Look(ctx, r.Runner.Engine, picture.Opener{
		Nodes:      func(access provision.Access) (picture.NodeAPI, error) { return connector.Nodes(access) },
		Kubernetes: func(access provision.Access) (picture.KubernetesAPI, error) { return connector.Kubernetes(access) },
	}, record)
}

// sources gathers what etcd could be founded from. A member that does not give its data away is passed over, unless the
// user names it.
func (r Recovery) sources(ctx context.Context, record provision.Record, looked picture.Sources, found proof, options Options, shelf backup.Shelf) (sources, error) {
	var all sources
	if options.From != "" {
		named, err := backup.Read(options.From)
		all.named = &named
		if err != nil {
			return all, err
		}
	}
	// Before the members' own, which may be on the same shelf.
	stored, err := backup.Of(r.Runner.Store, record.Cluster.Name).Newest()
	if err == nil {
		all.stored = &stored
	} else if !errors.Is(err, backup.ErrNone) {
		return all, err
	}
	for _, node := range found.alive {
		snapshot, err := r.rescue(ctx, provision.AccessOf(record, looked.Engine), node, shelf)
		if err == nil {
			all.survivors = append(all.survivors, snapshot)
		}
		if node.Name == options.FromNode {
			all.named = &snapshot
			if err != nil {
				return all, err
			}
		}
	}
	if options.FromNode != "" && all.named == nil {
		return all, fmt.Errorf("cannot take etcd's data from %q: no control plane of that name runs", options.FromNode)
	}
	return all, nil
}

// rescue has a member give its data away. It needs no quorum for that.
func (r Recovery) rescue(ctx context.Context, access provision.Access, node picture.Node, shelf backup.Shelf) (backup.Snapshot, error) {
	nodes, err := r.Runner.Connector.Nodes(access)
	if err != nil {
		return backup.Snapshot{}, err
	}
	defer nodes.Close()
	ctx, cancel := context.WithTimeout(ctx, snapshotPatience)
	defer cancel()
	return shelf.Take(ctx, nodes, provision.Node{Name: node.Name, Role: provision.ControlPlane, IP: node.Machine.IP})
}

// recover does what is planned. The cluster's lock is held.
func (r Recovery) recover(ctx context.Context, seen sight) error {
	name := seen.record.Cluster.Name
	if seen.recalled {
		if err := r.Runner.Store.Save(seen.record); err != nil {
			return err
		}
	}
	if err := seen.mark.write(r.Runner.Store, name); err != nil {
		return err
	}
	again := "run the same bronze etcd recover again: it goes on with what it has begun"
	done, err := r.Runner.Do(ctx, seen.record, seen.prospect.Plan)
	if err != nil {
		return provision.WithHint(fmt.Errorf("recovering etcd: %w", err), again)
	}
	if err := r.tidy(ctx, done.Record); err != nil {
		return provision.WithHint(fmt.Errorf("clearing up after the recovery of etcd: %w", err), again)
	}
	return removeMark(r.Runner.Store, name)
}

// tidy looks what the recovered cluster remembers wrongly, and waits until it is whole.
func (r Recovery) tidy(ctx context.Context, record provision.Record) error {
	looked, err := r.awaitKubernetes(ctx, record)
	if err != nil {
		return err
	}
	if _, err := r.Runner.Do(ctx, record, tidy(record.Cluster, picture.Join(looked))); err != nil {
		return err
	}
	if r.Runner.Contexts == nil {
		return nil
	}
	return r.Runner.Contexts.Add(ctx, provision.AccessOf(record, looked.Engine))
}

// awaitKubernetes looks until Kubernetes answers, for its API servers start after etcd does.
func (r Recovery) awaitKubernetes(ctx context.Context, record provision.Record) (picture.Sources, error) {
	var looked picture.Sources
	condition := provision.Condition{Name: "Kubernetes to answer", Check: func(ctx context.Context) (string, error) {
		looked = r.look(ctx, record)
		return looked.KubernetesError, nil
	}}
	patience := r.Runner.Patience
	if patience == 0 {
		patience = provision.DefaultPatience
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no more patience after %s", patience))
	defer cancel()
	err := provision.NewRecorder(r.Runner.Progress).Run(provision.PhaseAPI, condition.Name, func(waiting func(string)) error {
		return condition.Wait(ctx, waiting)
	})
	return looked, err
}
