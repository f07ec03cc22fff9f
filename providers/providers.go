// Package providers opens the provider that a name stands for. It is the one switch over them: what it imports is all
// that there is. Only cmd and tests import it.
package providers

import (
	"fmt"
	"strings"

	"github.com/bronze-os/bronze/providers/docker"
	"github.com/bronze-os/bronze/provision"
)

// Names lists the providers that Open knows.
func Names() []string {
	return []string{docker.Name}
}

// Open makes the named provider. stateDir is where it may remember what it learnt of an engine; empty keeps nothing.
func Open(name, stateDir string) (provision.Provider, error) {
	switch name {
	case docker.Name:
		return docker.Open(stateDir)
	default:
		err := fmt.Errorf("cannot find a provider named %q", name)
		return nil, provision.WithHint(err, "there are: "+strings.Join(Names(), ", "))
	}
}
