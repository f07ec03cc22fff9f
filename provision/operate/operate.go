// Package operate does with nodes that are there what their users ask for: it reads their state, their logs and events,
// applies machine configs, and restarts, resets and bootstraps them. It speaks the machine API to any node that has one,
// whoever made it, and knows neither engine nor state directory: a talosconfig is all it takes. Every question goes to
// each node that was named, side by side, and one that does not answer leaves the others' answers whole. It may import
// machinery, the COSI runtime and client-go, and no provider. It prints nothing.
package operate

import (
	"errors"
	"fmt"
	"slices"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/bronze-os/bronze/provision"
)

// ErrNoContext says that the talosconfig has no context to take an endpoint and a certificate from.
var ErrNoContext = errors.New("cannot tell which cluster is meant")

// Target says which nodes are meant, in the words of talosctl's flags of the same names.
type Target struct {
	// Context is a context of the talosconfig; empty means its current one.
	Context string
	// Cluster is passed on to a proxy that serves several clusters; empty means the context's.
	Cluster string
	// Endpoints are host or host:port of the machine APIs to connect to; empty means the context's.
	Endpoints []string
	// Nodes are whom the calls are for; empty means the context's.
	Nodes []string
	// SideroV1Keys is a directory of PGP keys, for contexts that sign their calls with one.
	SideroV1Keys string
}

// resolve reads from the talosconfig what the target leaves open. The answer is complete: it names endpoints and nodes.
func (t Target) resolve(config *clientconfig.Config) (Target, clientconfig.Context, error) {
	if t.Context == "" {
		t.Context = config.Context
	}
	found, there := config.Contexts[t.Context]
	switch {
	case t.Context == "":
		return t, clientconfig.Context{}, fmt.Errorf("%w: the talosconfig has no current context", ErrNoContext)
	case !there || found == nil:
		return t, clientconfig.Context{}, fmt.Errorf("%w: the talosconfig has no context %q", ErrNoContext, t.Context)
	}
	t.Endpoints = firstOf(t.Endpoints, found.Endpoints)
	t.Nodes = unique(firstOf(t.Nodes, found.Nodes))
	if t.Cluster == "" {
		t.Cluster = found.Cluster
	}
	if len(t.Endpoints) == 0 {
		err := fmt.Errorf("cannot reach a machine API: context %q has no endpoint", t.Context)
		return t, clientconfig.Context{}, provision.WithHint(err, "name one with --endpoints, or keep one with bronze config endpoint")
	}
	if len(t.Nodes) == 0 {
		err := fmt.Errorf("cannot tell which node is meant: context %q has none", t.Context)
		return t, clientconfig.Context{}, provision.WithHint(err, "name some with --nodes, or keep them with bronze config node")
	}
	return t, *found, nil
}

func firstOf(asked, kept []string) []string {
	if len(asked) > 0 {
		return asked
	}
	return kept
}

// unique keeps the first of equal names: a node that is named twice answers once.
func unique(names []string) []string {
	var kept []string
	for _, name := range names {
		if name != "" && !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return kept
}
