// Package honoured says of every field of the machine config what a node makes of it: one table, which the warnings of
// an apply and docs/machine-config.md are both made from. Of machined it imports only what tells which values a field takes.
package honoured

import (
	"slices"
	"strings"

	"github.com/bronze-os/bronze/images/node"
)

// State is what a node makes of a field.
type State string

// The states of a field.
const (
	// Live comes to the running node within seconds of a change.
	Live State = "live"
	// Reboot is honoured from the node's next boot on.
	Reboot State = "reboot"
	// Warned is accepted without effect, and whoever applies it is told so.
	Warned State = "warned"
	// Refused keeps a config from being accepted at all.
	Refused State = "refused"
)

// NodeDocument is the Kind of the fields under version, machine and cluster, whose document has no kind of its own.
const NodeDocument = "v1alpha1"

// Field is one place in a machine config, with all below it that has no Field of its own.
type Field struct {
	// Kind is the document's kind, or NodeDocument.
	Kind string
	// Path holds the YAML names down to the field, joined by dots, without the indexes of lists. The empty one is the
	// whole document.
	Path string
	// State is what the node makes of it.
	State State
	// Note tells a user what it does, or what to do instead.
	Note string
	// Concerns tells, where it is not nil, which values the State is said of, by the keys below Path that lead to a value
	// and that value. Others of a Live field have no effect; others of a Warned one ask for what is so anyway.
	Concerns func(below []string, value any) bool
}

// Of answers the field that stands for a place in a document of that kind: the longest Path that leads to it. keys are
// YAML names and the keys of maps, without the indexes of lists.
func Of(fields []Field, kind string, keys []string) (Field, bool) {
	var (
		found Field
		known bool
	)

	for _, field := range fields {
		path := field.keys()
		if field.Kind != kind || len(path) > len(keys) || !slices.Equal(path, keys[:len(path)]) {
			continue
		}

		if !known || len(path) > len(found.keys()) {
			found, known = field, true
		}
	}

	return found, known
}

// HasEffect tells whether the node does what a value at keys asks for. Where it does not, the Note says why.
func (f Field) HasEffect(keys []string, value any) bool {
	switch {
	case f.State == Live || f.State == Reboot:
		return f.Concerns == nil || f.Concerns(keys[len(f.keys()):], value)
	default:
		return f.Concerns != nil && !f.Concerns(keys[len(f.keys()):], value)
	}
}

// Fields is the table. The versions are those of the node, for the images that it runs whatever the config says.
func Fields(versions node.Versions) []Field {
	return slices.Concat(general(), machine(versions), machineNetwork(), features(), cluster(versions), documents())
}

func (f Field) keys() []string {
	if f.Path == "" {
		return nil
	}

	return strings.Split(f.Path, ".")
}

// unless is Concerns of every value but those, which ask for what is so anyway.
func unless(usual ...any) func([]string, any) bool {
	return func(_ []string, value any) bool { return !slices.Contains(usual, value) }
}
