package machine

import (
	"context"
	"errors"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
	"github.com/bronze-os/bronze/images/machined/internal/maintenance"
)

// errConfigured ends what runs in maintenance mode.
var errConfigured = errors.New("the node has a machine config")

// maintain serves the node in maintenance mode until somebody gives it a machine config, or ctx ends.
func (m *Machine) maintain(ctx context.Context) error {
	certificate, err := maintenance.Certificate(m.hostname, m.addresses.List())
	if err != nil {
		return err
	}

	m.stage.Set(runtime.MachineStageMaintenance)

	fingerprint := maintenance.Fingerprint(certificate)
	m.log.Info("no machine config: in maintenance mode", "node", m.hostname, "ip", m.ip, "fingerprint", fingerprint)
	m.log.Info(fmt.Sprintf("waiting for: talosctl apply-config --insecure --nodes %s --cert-fingerprint %s --file FILE", m.ip, fingerprint))

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return m.publish(ctx) })
	group.Go(func() error {
		return maintenance.Run(ctx, maintenance.Options{
			Certificate: certificate, Register: m.registerAPI(machineapi.Options{}), Log: m.log,
		})
	})
	group.Go(func() error {
		select {
		case <-m.configured:
			return errConfigured
		case <-ctx.Done():
			return nil
		}
	})

	if err := group.Wait(); err != nil && !errors.Is(err, errConfigured) {
		return fmt.Errorf("in maintenance mode: %w", err)
	}

	return nil
}
