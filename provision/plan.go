package provision

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
	// After holds the indexes of earlier steps that must be done first.
	After []int `json:"after,omitempty"`
}

// String is the step in words, such as "create node dev-worker-1".
func (s Step) String() string {
	return string(s.Action) + " " + s.Target
}
