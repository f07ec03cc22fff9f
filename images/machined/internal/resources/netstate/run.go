package netstate

import (
	"context"

	"github.com/cosi-project/runtime/pkg/state"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// Run publishes the node's network as it changes, and blocks until ctx ends.
func Run(ctx context.Context, st state.State) error {
	watcher, err := Open()
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watcher.Run(ctx) })
	group.Go(func() error {
		return publish.Whenever(ctx, func(ctx context.Context) error {
			network, err := Read()
			if err != nil {
				return err
			}

			return network.Resources().Write(ctx, st)
		}, watcher.Changed)
	})

	return group.Wait()
}
