package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

func newConfigNew(o *configOptions) *cobra.Command {
	files := &outputFiles{app: o.app}
	var roles []string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use: "new [FILE]", Short: "Let a control plane make a new talosconfig, for others or for lesser roles",
		Example: `  bronze config new reader.talosconfig --roles os:reader --crt-ttl 24h`, Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringSliceVar(&roles, "roles", []string{"os:admin"}, "what its owner may do")
	cmd.Flags().DurationVar(&lifetime, "crt-ttl", 365*24*time.Hour, "how long it is good")
	cmd.Flags().BoolVarP(&files.force, "force", "f", false, "overwrite a file that is there")
	return runs(cmd, func(ctx context.Context, args []string) error {
		path := "talosconfig"
		if len(args) > 0 {
			path = args[0]
		}
		if err := files.refuse(path); err != nil {
			return err
		}
		return o.on(func(fleet *operate.Fleet) error {
			made, err := fleet.NewTalosconfig(ctx, roles, lifetime)
			if err != nil {
				return err
			}
			return files.write(path, made)
		})
	})
}
