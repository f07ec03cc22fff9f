// Package providers opens the provider that a name stands for. It is the one switch over them: what it imports is all
// that there is. Only cmd and tests import it.
package providers

import (
	"fmt"

	"github.com/bronze-os/bronze/provision"
)

// Names lists the providers that Open knows.
func Names() []string {
	return []string{"docker"}
}

// Open makes the named provider. stateDir is where it may remember what it learnt of an engine; empty keeps nothing.
func Open(name, stateDir string) (provision.Provider, error) {
	switch name {
	default:
		return nil, provision.WithHint(fmt.Errorf("cannot find a provider named %q", name), "providers: docker")
	}
}
