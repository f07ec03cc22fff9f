package resources

import (
	"context"
	"fmt"
	"slices"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// publishSettings follows what the node is set up as.
func publishSettings(ctx context.Context, opts Options) error {
	return publish.Whenever(ctx, func(ctx context.Context) error {
		return opts.Settings().Resources().Write(ctx, opts.State)
	}, opts.Changed)
}

// publishAddresses follows the node's addresses.
func publishAddresses(ctx context.Context, opts Options) error {
	var seen nodeAddresses

	return publish.Whenever(ctx, func(ctx context.Context) error {
		seen = seen.next(opts.Addresses.List())

		return seen.resources(opts.Settings().KubernetesNetworks()).Write(ctx, opts.State)
	}, opts.Addresses.Changed, opts.Changed)
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
