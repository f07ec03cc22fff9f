package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/contexts"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// clientConfig is what kubeconfig and talosconfig share: signing a client config, and merging it.
type clientConfig struct {
	*app
	sign    func(machineconfig.Secrets, provision.Access) ([]byte, error)
	add     func(contexts.Files, context.Context, provision.Access) error
	merging bool
}

// bind gives the command its flag, arguments and work.
func (c *clientConfig) bind(cmd *cobra.Command) *cobra.Command {
	cmd.Args = atMostName
	cmd.Flags().BoolVar(&c.merging, "merge", false, "merge instead of printing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.run(cmd.Context(), nameOf(args))
	}
	return cmd
}

func (c *clientConfig) run(ctx context.Context, name string) error {
	reconciler, err := c.reconciler(nil)
	if err != nil {
		return err
	}
	access, err := reconciler.Access(ctx, name)
	if err != nil {
		return err
	}
	if c.merging {
		return c.add(c.files(reconciler.Store), ctx, access)
	}
	secrets, err := machineconfig.ParseSecrets(access.Secrets)
	if err != nil {
		return err
	}
	data, err := c.sign(secrets, access)
	if err != nil {
		return err
	}
	fmt.Fprint(c.stdout, string(data))
	return nil
}
