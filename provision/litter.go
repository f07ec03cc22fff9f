package provision

import (
	"slices"
	"time"
)

// Litter is one thing that a cluster left behind which is no more, or a process that died.
type Litter struct {
	Kind LitterKind `json:"kind"`
	// Name is the object's in the engine, the context's cluster, or the file's path.
	Name    string `json:"name"`
	Cluster string `json:"cluster"`
	// Why is what proves that nobody needs it.
	Why string `json:"why"`
}

// LitterKind says what a piece of litter is.
type LitterKind string

// The kinds, in the order in which they are taken away.
const (
	LitterMachine LitterKind = "machine"
	LitterVolume  LitterKind = "volume"
	LitterNetwork LitterKind = "network"
	// LitterContext are a cluster's entries in the user's client configs.
	LitterContext LitterKind = "client context"
	LitterFile    LitterKind = "file"
)

// litterAge is how old all of a cluster must be before any of it is litter: a create may be under way in another state
// directory.
const litterAge = time.Minute

// scene is all that is known of one cluster where litter is looked for.
type scene struct {
	cluster string
	// now is the time by this host's clock, as the engine's objects tell when they were made.
	now  time.Time
	seen Observed
	// desired is what this state directory has stored; nil where it has no whole record.
	desired *Cluster
	// elsewhere tells that another state directory, which a client context names, has a whole record.
	elsewhere bool
	// held tells that a process works on the cluster.
	held bool
}

// remnant is the part of a cluster in the engine that is litter, and why. Where it is empty, none is.
//
// Nothing of a cluster with a node that runs is litter, nor of one that is stored and could be started, or is stored and
// only half made. One that is not stored here may be stored elsewhere: it is litter only where it could not run again,
// for it has no control plane that ever ran, or no network.
func (s scene) remnant() (part Observed, why string) {
	switch {
	case s.seen.Empty(), s.held, s.elsewhere, s.seen.anyAlive(), s.seen.young(s.now):
		return Observed{}, ""
	case s.desired != nil:
		return Observed{Volumes: s.orphans()}, "the node is not one of the cluster any more"
	case len(s.seen.Machines) == 0:
		return s.seen, "the cluster has no node and is not stored"
	case len(s.seen.Networks) == 0:
		return s.seen, "the cluster has no network and is not stored"
	case !slices.ContainsFunc(s.seen.ofRole(ControlPlane), Machine.hasRun):
		return s.seen, "the cluster has no control plane that ever ran, and is not stored"
	default:
		return Observed{}, ""
	}
}

// orphans are the volumes of what neither is desired nor has a machine.
func (s scene) orphans() []Volume {
	names := s.desired.machineNames()
	for _, machine := range s.seen.all() {
		names = append(names, machine.Name)
	}
	return slices.DeleteFunc(slices.Clone(s.seen.Volumes), func(v Volume) bool { return slices.Contains(names, v.Node) })
}

// anyAlive tells whether a node's machine runs, or goes on when it is let. A balancer alone carries nothing.
func (o Observed) anyAlive() bool {
	return slices.ContainsFunc(o.Machines, func(m Machine) bool { return m.State != MachineStopped && m.State != MachineCreated })
}

// hasRun tells a machine that was started at some time from one that was only made.
func (m Machine) hasRun() bool {
	return m.State != MachineCreated
}

// young tells whether any of it was made less than litterAge ago.
func (o Observed) young(now time.Time) bool {
	var made []time.Time
	for _, machine := range o.all() {
		made = append(made, machine.Created)
	}
	for _, volume := range o.Volumes {
		made = append(made, volume.Created)
	}
	for _, network := range o.Networks {
		made = append(made, network.Created)
	}
	return slices.ContainsFunc(made, func(at time.Time) bool { return now.Sub(at) < litterAge })
}

// litter lists the parts one by one.
func (o Observed) litter(cluster, why string) []Litter {
	var found []Litter
	add := func(kind LitterKind, name string) {
		found = append(found, Litter{Kind: kind, Name: name, Cluster: cluster, Why: why})
	}
	for _, machine := range o.all() {
		add(LitterMachine, machine.Name)
	}
	for _, volume := range o.Volumes {
		add(LitterVolume, volume.Name)
	}
	for _, network := range o.Networks {
		add(LitterNetwork, network.Name)
	}
	return found
}
