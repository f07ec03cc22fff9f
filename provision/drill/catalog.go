package drill

import (
	"time"

	"github.com/bronze-os/bronze/provision/picture"
)

const (
	// apiGap bounds how long writes may wait for another leader, and a client for another connection.
	apiGap = 5 * time.Second
	// hold is long enough for every source but Kubernetes to notice, which takes 40 s.
	hold = 10 * time.Second
	// leap is longer than all leases: a node's (40 s), discovery's (45 s), a leader's (15 s).
	leap = 55 * time.Second
	// settle is longer than Kubernetes takes to look at every node's lease twice.
	settle = 12 * time.Second
)

// Catalog lists all drills, in the order in which they are run together.
func Catalog() []Drill {
	var (
		workers = Needs{ControlPlanes: 1, Workers: 2}
		quorum  = Needs{ControlPlanes: 3, Workers: 1, Balancer: true}
		small   = Needs{ControlPlanes: 1, Workers: 1}
		only    = Needs{ControlPlanes: 1, Workers: 1, Exactly: true}
		engine  = Needs{ControlPlanes: 1, Workers: 1, EngineRestart: true}
	)
	return []Drill{
		{Name: "rm-worker", Rehearses: "a worker's container is deleted with its volumes", Needs: workers,
			Act: Vanish, Whom: LastWorker, Shows: picture.Missing, Cure: Replace, MaxGap: apiGap},
		{Name: "rm-workers-all", Rehearses: "all workers are deleted with their volumes at once", Needs: workers,
			Act: Vanish, Whom: AllWorkers, Shows: picture.Missing, Cure: Replace, MaxGap: apiGap},
		{Name: "rm-controlplane-leader", Rehearses: "the control plane that leads etcd is deleted with its volumes", Needs: quorum,
			Act: Vanish, Whom: Leader, Shows: picture.Missing, Cure: Replace, MaxGap: apiGap},
		{Name: "rm-controlplane-follower", Rehearses: "a control plane that follows is deleted with its volumes", Needs: quorum,
			Act: Vanish, Whom: Follower, Shows: picture.Missing, Cure: Replace, MaxGap: apiGap},
		{Name: "rm-first-controlplane", Rehearses: "the control plane that founded the cluster is deleted with its volumes", Needs: quorum,
			Act: Vanish, Whom: FirstControlPlane, Shows: picture.Missing, Cure: Replace, MaxGap: apiGap},
		{Name: "rm-only-controlplane", Rehearses: "the only control plane's container is deleted, and its volumes are left", Needs: only,
			Act: VanishBare, Whom: FirstControlPlane, Shows: picture.Missing, Cure: Resurrect,
			Must: []string{"the control plane comes back with its name and identity"}},
		{Name: "pause-worker", Rehearses: "a worker is frozen for a while", Needs: workers,
			Act: Pause, Whom: LastWorker, Hold: hold, Untouched: true, Shows: picture.Paused, Cure: Nothing, MaxGap: apiGap},
		{Name: "pause-leader", Rehearses: "the control plane that leads etcd is frozen for a while", Needs: quorum,
			Act: Pause, Whom: Leader, Hold: hold, Untouched: true, Shows: picture.Paused, Cure: Nothing, MaxGap: apiGap},
		{Name: "kill-kubelet", Rehearses: "a worker's kubelet is killed", Needs: small,
			Act: KillProcess, Whom: LastWorker, Process: "kubelet", Cure: Nothing, MaxGap: apiGap},
		{Name: "kill-etcd", Rehearses: "the etcd that leads is killed", Needs: quorum,
			Act: KillProcess, Whom: Leader, Process: "etcd", Cure: Nothing, MaxGap: apiGap},
		{Name: "partition-worker", Rehearses: "a worker is cut off the network for a while", Needs: workers,
			Act: Partition, Whom: LastWorker, Hold: hold, Untouched: true, Shows: picture.Unreachable, Cure: Nothing, MaxGap: apiGap},
		{Name: "partition-leader", Rehearses: "the control plane that leads etcd is cut off the network for a while", Needs: quorum,
			Act: Partition, Whom: Leader, Hold: hold, Untouched: true, Shows: picture.Unreachable, Cure: Nothing, MaxGap: apiGap},
		{Name: "engine-restart", Rehearses: "the engine restarts under the cluster", Needs: engine,
			Act: RestartEngine, Whom: Everyone, Cure: Start},
		{Name: "disk-full-etcd", Rehearses: "etcd's space is full", Needs: small,
			Act: FillEtcd, Whom: ControlPlanes, Cure: Disarm,
			Must: []string{"reads still work", "writes are refused with a reason"}},
		{Name: "clock-jump", Rehearses: "the clock jumps ahead of every lease, as when a laptop wakes up", Needs: small,
			Act: Pause, Whom: Everyone, Hold: leap, Settle: settle, Shows: picture.Paused, Cure: Nothing,
			Must: []string{"nobody is given up in the time after it"}},
		{Name: "rm-during-scale", Rehearses: "a worker is deleted while another is added", Needs: workers,
			Act: VanishDuringAdd, Whom: LastWorker, Shows: picture.Missing, Cure: Replace, MaxGap: apiGap},
		{Name: "kill-reconcile", Rehearses: "the reconciler is killed at each of its steps", Needs: workers,
			Act: KillReconcile, Whom: LastWorker, Shows: picture.Missing, Cure: Rerun, MaxGap: apiGap},
	}
}

// Held are what must hold of a drill, in words: first what must of all.
func (d Drill) Held() []string {
	held := []string{"every acknowledged write is there", "as many Ready nodes and voters as before"}
	if d.MaxGap > 0 {
		held = append(held, "the API takes writes again within "+d.MaxGap.String())
	}
	if d.Untouched {
		held = append(held, "reconcile leaves the victim alone")
	}
	if d.Cure == Replace || d.Cure == Rerun {
		held = append(held, "no source knows the victim any more", "the pod of the victim runs elsewhere")
	}
	return append(append(held, "the canary's pods run with their data"), d.Must...)
}
