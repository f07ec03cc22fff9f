package provision

import "slices"

// Action is what a step does.
type Action string

// The actions.
const (
	CreateNetwork Action = "create network"
	CreateNode    Action = "create node"
	Bootstrap     Action = "bootstrap"
	RemoveNode    Action = "remove node"
	RemoveNetwork Action = "remove network"
)

// Step is one thing to do.
type Step struct {
	Action Action `json:"action"`
	// Target is the network's or the node's name.
	Target string `json:"target"`
	// After holds the indexes of earlier steps that must be done first; steps that do not wait for one another may be
	// done side by side.
	After []int `json:"after,omitempty"`
}

// String is the step in words, such as "create node dev-worker-1".
func (s Step) String() string {
	return string(s.Action) + " " + s.Target
}

// phase is where the step's time is counted.
func (s Step) phase() Phase {
	switch s.Action {
	case CreateNetwork:
		return PhaseNetwork
	case CreateNode:
		return PhaseNodes
	case Bootstrap:
		return PhaseBootstrap
	default:
		return PhaseRemove
	}
}

// Plan lists the steps from what is observed to what is desired; desired nil means that nothing of the cluster is to be
// left. With a desired cluster nothing is removed: a node that was joined by hand bears the cluster's labels too.
// No steps means that the one is the other.
func Plan(desired *Cluster, observed Observed) []Step {
	if desired == nil {
		return planRemoval(observed)
	}
	return planCreation(*desired, observed)
}

// planCreation starts the founder before all others, and those side by side: everyone waits for its API, and two starts
// at once share the processors, so that both take as long as one after the other. On two processors a control plane and a
// worker were ready 0.8 s sooner that way (medians of 9).
func planCreation(desired Cluster, observed Observed) []Step {
	var steps []Step
	var before []int
	add := func(action Action, target string) []int {
		steps = append(steps, Step{Action: action, Target: target, After: before})
		return []int{len(steps) - 1}
	}
	if len(observed.Networks) == 0 {
		before = add(CreateNetwork, desired.Network.Name)
	}
	founder := desired.Founder().Name
	if !observed.runs(founder) {
		before = add(CreateNode, founder)
	}
	for _, node := range desired.Nodes[1:] {
		if !observed.runs(node.Name) {
			add(CreateNode, node.Name)
		}
	}
	if !observed.Bootstrapped {
		add(Bootstrap, founder)
	}
	return steps
}

func planRemoval(observed Observed) []Step {
	var steps []Step
	var nodes []int
	for i, name := range observed.nodeNames() {
		nodes = append(nodes, i)
		steps = append(steps, Step{Action: RemoveNode, Target: name})
	}
	for _, network := range observed.Networks {
		steps = append(steps, Step{Action: RemoveNetwork, Target: network.Name, After: nodes})
	}
	return steps
}

// runs tells whether the named machine needs nothing done.
func (o Observed) runs(name string) bool {
	return slices.ContainsFunc(o.Machines, func(m Machine) bool {
		return m.Name == name && m.State == MachineRunning
	})
}

// nodeNames names each node that has a machine or a volume, sorted.
func (o Observed) nodeNames() []string {
	var names []string
	for _, machine := range o.Machines {
		names = append(names, machine.Name)
	}
	for _, volume := range o.Volumes {
		names = append(names, volume.Node)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ofNode is the part that belongs to one node.
func (o Observed) ofNode(name string) Observed {
	var part Observed
	for _, machine := range o.Machines {
		if machine.Name == name {
			part.Machines = append(part.Machines, machine)
		}
	}
	for _, volume := range o.Volumes {
		if volume.Node == name {
			part.Volumes = append(part.Volumes, volume)
		}
	}
	return part
}

// ofNetwork is the part that is that network.
func (o Observed) ofNetwork(name string) Observed {
	var part Observed
	for _, network := range o.Networks {
		if network.Name == name {
			part.Networks = append(part.Networks, network)
		}
	}
	return part
}

// Empty tells whether nothing is there.
func (o Observed) Empty() bool {
	return len(o.Machines) == 0 && len(o.Volumes) == 0 && len(o.Networks) == 0
}
