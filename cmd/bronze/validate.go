package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/machineconfig"
)

type validateOptions struct {
	*app
	path   string
	mode   string
	strict bool
}

func newValidate(a *app) *cobra.Command {
	options := &validateOptions{app: a}
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a machine config",
		Long: `Validate checks every document of a machine config, and lists all that is wrong with it, a line for each fault with
its path.`,
		Example: `  bronze validate -c worker.yaml -m container`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVarP(&options.path, "config", "c", "", "machine config, - for stdin")
	cmd.Flags().StringVarP(&options.mode, "mode", "m", string(machineconfig.ModeContainer), "what the node is: metal, cloud or container")
	cmd.Flags().BoolVar(&options.strict, "strict", false, "make faults of warnings")
	return runs(cmd, func(_ context.Context, _ []string) error { return options.run(cmd) })
}

func (o *validateOptions) run(cmd *cobra.Command) error {
	modes := []machineconfig.Mode{machineconfig.ModeMetal, machineconfig.ModeCloud, machineconfig.ModeContainer}
	mode := machineconfig.Mode(o.mode)
	if !slices.Contains(modes, mode) {
		return misused(cmd, fmt.Errorf("cannot validate for mode %q: want metal, cloud or container", o.mode))
	}
	config, err := readConfig(cmd, o.path, "--config")
	if err != nil {
		return err
	}
	warnings, err := machineconfig.Validate(config, mode, o.strict)
	o.warn(warnings)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "%s is valid for %s mode\n", o.path, mode)
	return nil
}
