package resources

import (
	"context"
	"log/slog"

	"github.com/cosi-project/runtime/pkg/state"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/resources/addresses"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
	"github.com/bronze-os/bronze/images/machined/internal/resources/settings"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// Options tell where the facts come from.
type Options struct {
	State     state.State
	Services  *service.Supervisor
	Events    *events.Log
	Addresses *addresses.Watcher
	// Stage is set by whoever boots and ends the machine.
	Stage *Stage
	// Settings answers what the node is set up as now; Changed tells when that changes and may be nil.
	Settings func() settings.Node
	Changed  publish.Signal
	// Kubelet is asked for static pods; nil on a worker.
	Kubelet *Kubelet
	Log     *slog.Logger
}

// Run publishes what the node knows of itself and blocks until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Changed == nil {
		opts.Changed = new(publish.Notice).Changed
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return publishSettings(ctx, opts) })
	group.Go(func() error { return publishAddresses(ctx, opts) })
	group.Go(func() error { return publishServices(ctx, opts) })
	group.Go(func() error { return publishMachineStatus(ctx, opts) })

	if opts.Kubelet != nil {
		group.Go(func() error { return publishStaticPods(ctx, opts) })
	}

	return group.Wait()
}
