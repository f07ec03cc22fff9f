package machine

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/discovery"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/server"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// farewellLimit is how long a node that ends takes leave of the others. Those that hear nothing find out by themselves.
const farewellLimit = time.Second

// discover makes the node's part in discovery.
func (m *Machine) discover() *discovery.Client {
	return discovery.New(discovery.Options{
		NodeID:    m.identity.NodeID,
		Hostname:  m.hostname,
		Version:   m.versions.Bronze,
		IP:        m.ip,
		Addresses: m.addresses,
		Config:    m.config,
		Roots: func(public bool) (*tls.Config, error) {
			return machinepki.CallerTLS(m.Config().Machine().Security(), public)
		},
		KnownPath: discovery.KnownPath,
		State:     m.state,
		Log:       m.log,
	})
}

// discoveryServer is a control plane's service; its clients are on every node.
func (m *Machine) discoveryServer() service.Spec {
	return m.listening(inProcess("discovery-server", func(ctx context.Context) error {
		return server.Run(ctx, server.Options{TLS: m.pki.OpenTLS(), Config: m.Config, Log: m.log})
	}), boot.DiscoveryPort)
}

// leave tells the others that this node goes. One that reboots does not: it is back before they would forget it.
func (m *Machine) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewellLimit)
	defer cancel()

	if err := m.discovery.Leave(ctx); err != nil {
		m.log.Info("ending without a farewell to all", "error", err)
	}
}
