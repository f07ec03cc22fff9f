package provision

import "time"

// Phase names a part of the work whose time is reported.
type Phase string

// The phases of a create, of a destroy and of a reconcile, in order.
const (
	PhasePrepare   Phase = "prepare"
	PhaseNetwork   Phase = "network"
	PhaseNodes     Phase = "nodes"
	PhaseBootstrap Phase = "bootstrap"
	PhaseEtcd      Phase = "etcd"
	PhaseAPI       Phase = "api"
	PhaseReady     Phase = "nodes ready"
	PhaseCoreDNS   Phase = "coredns"
	PhaseContexts  Phase = "contexts"
	PhaseDrain     Phase = "drain"
	PhaseRemove    Phase = "remove"
	PhaseVerify    Phase = "verify"
)

// EventKind tells what an Event reports.
type EventKind string

// The kinds of events. Every step that started is done or failed later; waiting comes between, whenever the reason
// changes.
const (
	EventStarted EventKind = "started"
	EventWaiting EventKind = "waiting"
	EventDone    EventKind = "done"
	EventFailed  EventKind = "failed"
)

// Event is one thing that happened on the way.
type Event struct {
	Kind EventKind `json:"kind"`
	// Step says what is done in words, such as "create node dev-worker-1" or "nodes to be Ready". Steps of one phase
	// may run side by side; the name tells them apart.
	Step  string `json:"step"`
	Phase Phase  `json:"phase"`
	// Why is the reason that a step still waits, or the error that it failed with.
	Why string `json:"why,omitempty"`
	// Took is how long the step has run so far.
	Took time.Duration `json:"took"`
}

// Progress hears every event. It is called by one goroutine at a time and must not block.
type Progress func(Event)

// Timing is how long one phase took.
type Timing struct {
	Phase Phase `json:"phase"`
	// Seconds is the phase's own length; phases may overlap.
	Seconds float64 `json:"seconds"`
	// At is when the phase ended, in seconds since the work began.
	At float64 `json:"at"`
}
