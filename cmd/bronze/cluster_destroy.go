package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

type destroyOptions struct {
	*app
	force bool
}

func newClusterDestroy(a *app) *cobra.Command {
	options := &destroyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "destroy [NAME]",
		Short: "Take away all that belongs to a cluster",
		Long: `Destroy takes away the nodes, volumes, network, client contexts and state of a cluster. It finds them by
their labels, so that it works whatever has become of the cluster, and touches nothing else.`,
		Example: `  bronze cluster destroy dev`,
		Args:    atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.destroy(cmd.Context(), nameOf(args))
		},
	}
	cmd.Flags().BoolVar(&options.force, "force", false, "succeed where there is no such cluster")
	return cmd
}

func (o *destroyOptions) destroy(ctx context.Context, name string) error {
	view := newView(o.stderr)
	defer view.close()
	reconciler, err := o.reconciler(view.hear)
	if err != nil {
		return err
	}
	result, err := reconciler.Destroy(ctx, name)
	view.close()
	o.warn(result.Warnings)
	if errors.Is(err, provision.ErrNotFound) && o.force {
		fmt.Fprintf(o.stderr, "There is no cluster %q.\n", name)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stderr, "Cluster %q is gone.\n", name)
	return nil
}
