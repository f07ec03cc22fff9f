package machineconfig

import (
	"errors"
	"strings"
)

// listError is how machinery's validation reports several faults at once.
type listError interface{ WrappedErrors() []error }

// oneLine turns machinery's bulleted lists and quoted YAML into one line, as our own errors are.
func oneLine(err error) error {
	var list listError
	if !errors.As(err, &list) {
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	var parts []string
	for _, fault := range list.WrappedErrors() {
		parts = append(parts, oneLine(fault).Error())
	}
	return errors.New(strings.Join(parts, "; "))
}
