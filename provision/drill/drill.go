// Package drill rehearses disasters on real clusters. A drill is data: what is done to which nodes, what must hold
// meanwhile, what cures it and what it must look like afterwards. A run does the harm under a canary, which is a
// StatefulSet on volumes and a stream of writes through the Kubernetes API, measures how long it takes to see the harm, to
// clear it up and to be at full strength again, puts everything back, and ends in a verdict. It may import provision, its
// picture and its reconcile; clients and engines reach it through the interfaces of apis.go. Package canary is the
// canary in Kubernetes, package report draws what came of it.
package drill

import (
	"fmt"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision/picture"
)

// Act is a way of doing harm.
type Act string

// The acts.
const (
	// Vanish deletes machines by force, with their volumes. VanishBare leaves the volumes.
	Vanish     Act = "delete with volumes"
	VanishBare Act = "delete, volumes stay"
	// Pause freezes machines for Drill.Hold. Partition cuts them off their network for as long.
	Pause     Act = "pause"
	Partition Act = "partition"
	// KillProcess sends SIGKILL to the node's process of Drill.Process.
	KillProcess Act = "kill -9"
	// RestartEngine restarts the engine itself by the command that the user names.
	RestartEngine Act = "restart the engine"
	// FillEtcd bounds etcd's space and fills it.
	FillEtcd Act = "fill etcd"
	// VanishDuringAdd deletes a worker while another is added.
	VanishDuringAdd Act = "delete during an add"
	// KillReconcile deletes workers, and kills the reconciler that clears up after each at a later step every time.
	KillReconcile Act = "kill the reconciler"
)

// Whom says which nodes an act is done to. The names of those it picks come from the picture.
type Whom string

// Those that are picked.
const (
	LastWorker        Whom = "a worker"
	AllWorkers        Whom = "all workers"
	Leader            Whom = "the control plane that leads etcd"
	Follower          Whom = "a control plane that follows"
	FirstControlPlane Whom = "the first control plane"
	ControlPlanes     Whom = "all control planes"
	Everyone          Whom = "every machine, and the balancer"
)

// Cure is what brings the cluster back.
type Cure string

// The cures.
const (
	// Nothing: the cluster must recover by itself, once the act is over.
	Nothing Cure = "nothing"
	// Replace and Resurrect are policies of reconcile for what is missing.
	Replace   Cure = "reconcile --missing replace"
	Resurrect Cure = "reconcile --missing resurrect"
	// Start is bronze cluster start.
	Start Cure = "cluster start"
	// Disarm gives etcd room: compact, defragment, disarm, and the old quota.
	Disarm Cure = "compact, defragment, disarm"
	// Rerun runs the same reconcile again after each that was killed.
	Rerun Cure = "run reconcile again"
)

// Drill is one rehearsal.
type Drill struct {
	// Name is what the command calls it.
	Name string
	// Rehearses completes "What if ...".
	Rehearses string
	// Needs is what the cluster must have.
	Needs Needs
	Act   Act
	Whom  Whom
	// Process is whom KillProcess kills: the ID of a service of the machine API.
	Process string
	// Hold is how long a Pause or Partition lasts; reconcile must leave the nodes alone meanwhile where Untouched says so.
	Hold      time.Duration
	Untouched bool
	// Settle is how long full strength must last to count: who was frozen may be found missing only later.
	Settle time.Duration
	// Shows is the state that the picture must come to give the victims; empty where it is seen elsewhere.
	Shows picture.State
	Cure  Cure
	// MaxGap is the longest time without an acknowledged write that is still right; 0 where the API is away by the
	// nature of the harm.
	MaxGap time.Duration
	// Must are what must hold beside what holds in every drill, in words.
	Must []string
}

// Needs is what a cluster must have for a drill.
type Needs struct {
	// ControlPlanes and Workers are the fewest of each.
	ControlPlanes, Workers int
	// Exactly tells that there must be no more control planes than that.
	Exactly bool
	// Balancer tells that the control planes must have one in front of them.
	Balancer bool
	// EngineRestart tells that the user must name the command that restarts the engine.
	EngineRestart bool
}

// String is the need in words, such as "3 control planes, 2 workers".
func (n Needs) String() string {
	controlPlanes := count(n.ControlPlanes, "control plane")
	if n.Exactly {
		controlPlanes = "exactly " + controlPlanes
	}
	parts := []string{controlPlanes, count(n.Workers, "worker")}
	if n.EngineRestart {
		parts = append(parts, "a command that restarts the engine")
	}
	return strings.Join(parts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// loses tells whether the act takes the victims' volumes with it.
func (a Act) loses() bool {
	return a == Vanish || a == VanishDuringAdd || a == KillReconcile
}
