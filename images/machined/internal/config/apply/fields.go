package apply

import (
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/machined/internal/config/honoured"
)

// nodeDocument is the kind of the document with machine and cluster.
const nodeDocument = honoured.NodeDocument

// needReboot names the changed fields that the running node cannot follow. What the table does not know is among them.
func needReboot(fields []honoured.Field, before, after config.Provider) ([]string, error) {
	changed, err := changes(before, after)
	if err != nil {
		return nil, err
	}

	var names []string

	for _, l := range changed {
		switch field, known := honoured.Of(fields, l.kind, l.keys); {
		case !known:
			names = append(names, l.path(len(l.keys)))
		case field.State == honoured.Reboot:
			names = append(names, l.path(depth(field)))
		}
	}

	return unique(names), nil
}

// verdict is what the table says of a whole config.
type verdict struct{ warnings, problems []string }

// judge holds a config against the table: each field without effect is named once, with why.
func judge(fields []honoured.Field, next config.Provider) (verdict, error) {
	found, err := leaves(next)
	if err != nil {
		return verdict{}, err
	}

	var said verdict

	for _, l := range ordered(found) {
		field, known := honoured.Of(fields, l.kind, l.keys)

		switch {
		case !known:
			said.warnings = append(said.warnings, l.path(len(l.keys))+" has no effect on this node.")
		case field.HasEffect(l.keys, l.value):
		case field.State == honoured.Refused:
			said.problems = append(said.problems, l.path(depth(field))+" cannot be honoured: "+field.Note)
		default:
			said.warnings = append(said.warnings, l.path(named(field))+" has no effect on this node: "+field.Note)
		}
	}

	said.warnings, said.problems = unique(said.warnings), unique(said.problems)

	return said, nil
}

// depth is how many keys lead to the field.
func depth(field honoured.Field) int {
	if field.Path == "" {
		return 0
	}

	return strings.Count(field.Path, ".") + 1
}

// named is how many keys a warning names: of the node's document one below the field, so that a user finds it, and of
// any other none, as that has no effect as a whole.
func named(field honoured.Field) int {
	if field.Kind == nodeDocument {
		return depth(field) + 1
	}

	return depth(field)
}

// unique drops repetitions and keeps the order.
func unique(list []string) []string {
	seen := map[string]bool{}

	return slices.DeleteFunc(list, func(one string) bool {
		known := seen[one]
		seen[one] = true

		return known
	})
}
