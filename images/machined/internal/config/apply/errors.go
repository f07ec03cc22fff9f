package apply

import (
	"fmt"
	"strings"
)

// InvalidError says what is wrong with a config, all of it.
type InvalidError struct{ Problems []string }

// Error lists the problems, one a line.
func (e *InvalidError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0]
	}

	return fmt.Sprintf("%d problems:\n  * %s", len(e.Problems), strings.Join(bounded(e.Problems), "\n  * "))
}

// RebootNeededError says which changed fields forbid a mode without a reboot.
type RebootNeededError struct {
	Mode   Mode
	Fields []string
}

// Error names the fields and the modes that bring them.
func (e *RebootNeededError) Error() string {
	return fmt.Sprintf("reboot needed: the change of %s cannot come to a running node, which the mode %s asks for; use auto, reboot or staged",
		strings.Join(bounded(e.Fields), ", "), Spelled(e.Mode))
}

// MaintenanceError says that a mode is not for a node's first config.
type MaintenanceError struct{ Mode Mode }

// Error names the mode that is.
func (e *MaintenanceError) Error() string {
	return fmt.Sprintf("cannot take a first machine config in the mode %s: there is none to go back to or to run with meanwhile; use auto",
		Spelled(e.Mode))
}

// Spelled is the mode as talosctl's flag has it.
func Spelled(mode Mode) string {
	return strings.ReplaceAll(strings.ToLower(mode.String()), "_", "-")
}

// listed is how many of a kind a caller is told: a config may be wrong in more places than fit in an answer.
const listed = 100

// bounded cuts a long list, and says so.
func bounded(list []string) []string {
	if len(list) <= listed {
		return list
	}

	return append(list[:listed:listed], fmt.Sprintf("and %d more", len(list)-listed))
}
