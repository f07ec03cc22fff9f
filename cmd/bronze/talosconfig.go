package main

import (
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/contexts"
)

func newTalosconfig(a *app) *cobra.Command {
	options := &clientConfig{app: a, sign: contexts.Talosconfig, add: contexts.Files.AddTalosconfig}
	return options.bind(&cobra.Command{
		Use:   "talosconfig [NAME]",
		Short: "Print a cluster's talosconfig, or merge it into yours",
		Long: `Talosconfig prints an administrator's talosconfig for the cluster. With --merge it goes into the file that
TALOSCONFIG names, or ~/.talos/config, and becomes current there, as create does it.`,
		Example: `  bronze talosconfig dev > dev.talosconfig
  bronze talosconfig dev --merge`,
	})
}
