//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"
)

// refusedLines are calls that a container cannot do: each says so, and what to do instead.
func refusedLines() []line {
	return []line{
		{name: "write META", talosctl: []string{"meta", "write", "0xa", "x"}, refused: true, do: precondition(func(ctx context.Context, c *cluster) error {
			return c.client.MetaWrite(ctx, 0xa, []byte("x"))
		})},
		{name: "delete META", talosctl: []string{"meta", "delete", "0xa"}, refused: true, do: precondition(func(ctx context.Context, c *cluster) error {
			return c.client.MetaDelete(ctx, 0xa)
		})},
		{name: "wipe a disk", talosctl: []string{"wipe", "disk", "sda"}, refused: true, do: precondition(func(ctx context.Context, c *cluster) error {
			return c.client.BlockDeviceWipe(ctx, &storage.BlockDeviceWipeRequest{Devices: []*storage.BlockDeviceWipeDescriptor{{Device: "sda"}}})
		})},
		{name: "upgrade from inside", talosctl: []string{"upgrade", "--image", unreachable, "--wait=false"}, refused: true, do: precondition(func(ctx context.Context, c *cluster) error {
			// By name: older clients make this call, and what is generated for it is not to be used any more.
			return c.client.Conn().Invoke(ctx, machine.MachineService_Upgrade_FullMethodName,
				&machine.UpgradeRequest{Image: unreachable}, &machine.UpgradeResponse{})
		})},
		{name: "roll an upgrade back", talosctl: []string{"rollback"}, refused: true, do: precondition(func(ctx context.Context, c *cluster) error {
			return c.client.Rollback(ctx)
		})},
		{name: "install", do: precondition(func(ctx context.Context, c *cluster) error {
			stream, err := c.client.LifecycleClient.Install(ctx, &machine.LifecycleServiceInstallRequest{})
			_, err = receive(stream, err)

			return err
		})},
		{name: "upgrade as a life cycle", do: precondition(func(ctx context.Context, c *cluster) error {
			stream, err := c.client.LifecycleClient.Upgrade(ctx, &machine.LifecycleServiceUpgradeRequest{})
			_, err = receive(stream, err)

			return err
		})},
		{name: "reset a disk", do: precondition(func(ctx context.Context, c *cluster) error {
			return c.client.ResetGeneric(ctx, &machine.ResetRequest{UserDisksToWipe: []string{"/dev/sda"}})
		})},
	}
}

func precondition(call func(context.Context, *cluster) error) func(context.Context, *cluster, string) error {
	return func(ctx context.Context, c *cluster, _ string) error {
		err := call(ctx, c)
		if client.StatusCode(err) != codes.FailedPrecondition {
			return fmt.Errorf("the error is %w", errors.Join(err, errors.New("want FailedPrecondition")))
		}

		return nil
	}
}
