package drill

import (
	"context"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Eye looks at the cluster through all five sources.
type Eye interface {
	// Look answers within ctx always: a source that is silent is told in the picture.
	Look(ctx context.Context) (picture.Picture, error)
}

// Hand does harm, and takes it back: a provider that has hazards and a switch.
type Hand interface {
	provision.Hazards
	provision.Switch
	// Observe tells what is there of the named cluster.
	Observe(ctx context.Context, name string) (provision.Observed, error)
}

// Healer does what a user would to bring the cluster back. Each ends when the cluster is as asked, or with an error.
type Healer interface {
	// Reconcile does what is to be done about missing nodes by that policy, at once, and tells how many steps that were.
	Reconcile(ctx context.Context, policy Cure) (steps int, err error)
	// Start is bronze cluster start.
	Start(ctx context.Context) error
	// Add makes more workers and Remove takes nodes away for good.
	Add(ctx context.Context, workers int) error
	Remove(ctx context.Context, names []string) error
	// ReconcileDying runs Reconcile in a process of its own that is killed as soon as it has told its step number n, from
	// 1 on. finished tells that it ended by itself before.
	ReconcileDying(ctx context.Context, policy Cure, n int) (finished bool, err error)
}

// Guest asks the nodes for what is in none of the sources, and sets etcd's bounds.
type Guest interface {
	// Incarnation tells one process of a node's service from the next, and is empty while there is none.
	Incarnation(ctx context.Context, node provision.Node, service string) (string, error)
	// Bound gives etcd on the control planes a quota in bytes, and Unbound the one that they had.
	Bound(ctx context.Context, bytes int64) error
	Unbound(ctx context.Context) error
	// Compact gives up all revisions but the last, gives their space back to the disk on every member, one after the
	// other, and takes the alarms back.
	Compact(ctx context.Context) error
}

// Canary is what shows harm: pods with data on volumes, and writes through the Kubernetes API.
type Canary interface {
	// Plant makes a pod on each of the nodes, with a volume of that node's own and data on it, and waits until all
	// serve their data. One that was left by another run is taken away before.
	Plant(ctx context.Context, nodes []string) error
	// Sing asks each pod for its data, and tells why not all of them serve it; empty where they do.
	Sing(ctx context.Context) (why string, err error)
	// Stranded are the pods that are still bound to the nodes.
	Stranded(ctx context.Context, nodes []string) ([]string, error)
	// Replant gives the pods whose nodes are lost, and their volumes with them, new volumes on the other nodes.
	Replant(ctx context.Context, lost, nodes []string) error
	// Write stores the key, and answers nil once that is acknowledged. Written are the keys that are there.
	Write(ctx context.Context, key string) error
	Written(ctx context.Context) (map[string]bool, error)
	// Fill stores about so many bytes of ballast; the error is why it was refused.
	Fill(ctx context.Context, bytes int) error
	// Empty takes the ballast away.
	Empty(ctx context.Context) error
	// Uproot takes all of it away, and waits until it is gone.
	Uproot(ctx context.Context) error
	// Close ends the connections.
	Close() error
}

// Site is one cluster to drill on.
type Site struct {
	Cluster string
	Eye     Eye
	Hand    Hand
	Healer  Healer
	Guest   Guest
	Canary  Canary
	// RestartEngine is nil where the user named no command for it.
	RestartEngine func(ctx context.Context) error
	// Progress may be nil.
	Progress provision.Progress
}
