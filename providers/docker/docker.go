// Package docker makes cluster nodes as containers of a Docker engine. What a container is to look like is decided by
// pure functions (container.go, isolation.go); the rest asks the engine and does. The engine's labels are the truth:
// nothing about a cluster is kept here. It imports provision, provision/reconcile, images/boot and the engine's client, and no other provider.
package docker

import (
	"sync"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// Name is what --provider calls this provider.
const Name = "docker"

// Provider is one Docker engine.
type Provider struct {
	engine *client.Client
	// host is the engine's address, for messages.
	host string
	// stateDir is where answers about the engine are remembered; empty keeps them in memory only.
	stateDir string

	infoMu sync.Mutex
	// known is nil until the engine was asked about itself.
	known *system.Info

	isolationMu sync.Mutex
	// isolation is nil until a node is created.
	isolation *isolation
}

var (
	_ provision.Provider       = (*Provider)(nil)
	_ provision.Balancing      = (*Provider)(nil)
	_ provision.Switch         = (*Provider)(nil)
	_ provision.Appraiser      = (*Provider)(nil)
	_ provision.SubnetSurveyor = (*Provider)(nil)
	_ provision.Warner         = (*Provider)(nil)
	_ provision.Witness        = (*Provider)(nil)
	_ provision.Hazards        = (*Provider)(nil)
	_ reconcile.Engine         = (*Provider)(nil)
)

// Dial finds the engine as the docker command does: DOCKER_HOST, then DOCKER_CONTEXT, then the current context of
// ~/.docker/config.json, then the default socket. It does not talk to it.
func Dial() (*client.Client, error) {
	endpoint, err := findEndpoint(environment())
	if err != nil {
		return nil, err
	}
	return endpoint.client()
}

// Open makes a provider of the engine that Dial finds. It does not talk to it: Preflight does. stateDir may be empty.
func Open(stateDir string) (*Provider, error) {
	engine, err := Dial()
	if err != nil {
		return nil, err
	}
	return &Provider{engine: engine, host: engine.DaemonHost(), stateDir: stateDir}, nil
}

// Name is "docker".
func (p *Provider) Name() string {
	return Name
}

// Close ends the connections to the engine. A process that ends may leave it out.
func (p *Provider) Close() error {
	return p.engine.Close()
}
