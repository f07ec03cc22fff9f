package provision

import "context"

// Hazards is what a Provider also implements where it can do to machines what drills rehearse. All of it may be done
// again; what is done to a machine that is gone is an error, but for Vanish.
type Hazards interface {
	// Vanish removes a machine by force, without a word to it, and the volumes that it alone has where they are to be
	// lost too.
	Vanish(ctx context.Context, machine Machine, withVolumes bool) error
	// Partition cuts a running machine off the cluster's network, or joins it again where apart is false, under the
	// address that it had. What it runs goes on, and so do its own connections to itself. A machine that starts anew is
	// joined again.
	Partition(ctx context.Context, machine Machine, apart bool) error
	// Kill sends SIGKILL to that service's process in a running machine: kubelet, etcd or containerd. It is an error
	// where the service does not run.
	Kill(ctx context.Context, machine Machine, service string) error
}
