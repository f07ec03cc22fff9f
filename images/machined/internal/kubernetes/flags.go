package kubernetes

import (
	"maps"
	"slices"
)

// Flags are command line flags by name, without dashes.
type Flags map[string][]string

// With answers the flags with others laid over: a name that others has replaces ours, whatever it held.
func (f Flags) With(others map[string][]string) Flags {
	merged := maps.Clone(f)
	maps.Copy(merged, others)

	return merged
}

// Arguments answers "--name=value" for every value, in the order of the names.
func (f Flags) Arguments() []string {
	var arguments []string

	for _, name := range slices.Sorted(maps.Keys(f)) {
		for _, value := range f[name] {
			arguments = append(arguments, "--"+name+"="+value)
		}
	}

	return arguments
}

// flags turns single values into Flags.
func flags(values map[string]string) Flags {
	made := Flags{}
	for name, value := range values {
		made[name] = []string{value}
	}

	return made
}
