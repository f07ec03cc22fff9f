package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

type bootstrapOptions struct {
	nodeOptions
	snapshot      string
	skipHashCheck bool
}

func newBootstrap(a *app) *cobra.Command {
	options := &bootstrapOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Found etcd, and with it the cluster, on one control plane",
		Long: `Bootstrap founds etcd on one control plane; the others then join it. It is done once in a cluster's life, and
bronze cluster create does it by itself. With --recover-from etcd begins with what the snapshot holds.`,
		Example: `  bronze bootstrap -n 10.5.0.2
  bronze bootstrap -n 10.5.0.2 --recover-from db.snapshot`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&options.snapshot, "recover-from", "", "file that bronze etcd snapshot wrote")
	cmd.Flags().BoolVar(&options.skipHashCheck, "recover-skip-hash-check", false, "take a copy of etcd's data directory, which has no checksum")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error { return options.run(ctx) })
}

func (o *bootstrapOptions) run(ctx context.Context) error {
	var snapshot io.Reader
	if o.snapshot != "" {
		file, err := os.Open(o.snapshot)
		if err != nil {
			return fmt.Errorf("cannot read the snapshot: %w", err)
		}
		defer file.Close()
		snapshot = file
	}
	return o.on(func(fleet *operate.Fleet) error { return fleet.Bootstrap(ctx, snapshot, o.skipHashCheck) })
}
