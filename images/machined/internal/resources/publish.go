package resources

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/config"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"

	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// publishFixed publishes what does not change while the machine runs.
func publishFixed(ctx context.Context, opts Options) error {
	err := safe.StateModify(ctx, opts.State, network.NewHostnameStatus(network.NamespaceName, network.HostnameID),
		func(r *network.HostnameStatus) error {
			r.TypedSpec().Hostname = opts.Hostname
			return nil
		})
	if err != nil {
		return fmt.Errorf("publishing the host name: %w", err)
	}

	if opts.Config == nil {
		return nil
	}

	err = safe.StateModify(ctx, opts.State, k8s.NewNodename(k8s.NamespaceName, k8s.NodenameID),
		func(r *k8s.Nodename) error {
			r.TypedSpec().Nodename = opts.Hostname
			return nil
		})
	if err != nil {
		return fmt.Errorf("publishing the node name: %w", err)
	}

	return PublishConfig(ctx, opts.State, opts.Config)
}

// PublishConfig publishes the machine config and what kind of machine it makes.
func PublishConfig(ctx context.Context, st state.State, cfg config.Provider) error {
	err := safe.StateModify(ctx, st, configres.NewMachineType(), func(r *configres.MachineType) error {
		r.SetMachineType(cfg.Machine().Type())
		return nil
	})
	if err != nil {
		return fmt.Errorf("publishing the machine type: %w", err)
	}

	if err := replaceConfig(ctx, st, configres.NewMachineConfig(cfg)); err != nil {
		return fmt.Errorf("publishing the machine config: %w", err)
	}

	return nil
}

// replaceConfig stands in for StateModify: a MachineConfig cannot be changed in place.
func replaceConfig(ctx context.Context, st state.State, next *configres.MachineConfig) error {
	current, err := safe.StateGet[*configres.MachineConfig](ctx, st, next.Metadata())
	if state.IsNotFoundError(err) {
		return st.Create(ctx, next)
	}

	if err != nil {
		return err
	}

	if same, err := sameConfig(current, next); same || err != nil {
		return err
	}

	next.Metadata().SetVersion(current.Metadata().Version())

	return st.Update(ctx, next)
}

func sameConfig(a, b *configres.MachineConfig) (bool, error) {
	first, err := a.Container().Bytes()
	if err != nil {
		return false, err
	}

	second, err := b.Container().Bytes()

	return bytes.Equal(first, second), err
}

// publishAddresses follows the node's addresses.
func publishAddresses(ctx context.Context, opts Options) error {
	var seen nodeAddresses

	for {
		changed := opts.Addresses.Changed()
		seen = seen.next(opts.Addresses.List())

		for id, list := range seen.byID() {
			err := safe.StateModify(ctx, opts.State, network.NewNodeAddress(network.NamespaceName, id),
				func(r *network.NodeAddress) error {
					r.TypedSpec().Addresses = list
					return nil
				})
			if err != nil {
				return fmt.Errorf("publishing addresses: %w", err)
			}
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// publishServices follows the services, and tells of each change of one as an event.
func publishServices(ctx context.Context, opts Options) error {
	told := map[string]service.Status{}

	for {
		changed := opts.Services.Changed()

		for _, status := range opts.Services.List() {
			for _, event := range serviceEvents(told[status.ID], status) {
				opts.Events.Publish(event)
			}

			told[status.ID] = status

			if err := publishService(ctx, opts.State, status); err != nil {
				return fmt.Errorf("publishing service %s: %w", status.ID, err)
			}
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func publishService(ctx context.Context, st state.State, status service.Status) error {
	return safe.StateModify(ctx, st, v1alpha1.NewService(status.ID), func(r *v1alpha1.Service) error {
		*r.TypedSpec() = v1alpha1.ServiceSpec{
			Running: status.State == service.Running,
			Healthy: status.Health.Healthy,
			Unknown: status.Health.Unknown,
		}

		return nil
	})
}

// remove destroys all resources of a kind but those named.
func remove(ctx context.Context, st state.State, kind resource.Kind, keep []resource.ID) error {
	list, err := st.List(ctx, kind)
	if err != nil {
		return err
	}

	for _, item := range list.Items {
		if slices.Contains(keep, item.Metadata().ID()) {
			continue
		}

		if err := st.Destroy(ctx, item.Metadata()); err != nil {
			return err
		}
	}

	return nil
}
