package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

type upgradeOptions struct {
	*app
	image    string
	drain    bool
	patience time.Duration
	dryRun   bool
	form     form
}

func newClusterUpgrade(a *app) *cobra.Command {
	options := &upgradeOptions{app: a}
	cmd := &cobra.Command{
		Use:   "upgrade [NAME] --image IMAGE",
		Short: "Swap a cluster's nodes for ones of another image, one by one",
		Long: `Upgrade gives the nodes of a cluster another node image, one after the other: control planes, then workers,
then the load balancer. Each is drained, swapped, and waited for until the whole cluster is healthy. Name,
address, ports and data stay its own. Kubernetes has the version that the image brings.

A node that does not become healthy gets its old image back, and the upgrade ends. Run again it goes on with the
nodes that are left, as it does after an interruption.`,
		Example: `  bronze cluster upgrade dev --image bronze.local/node:v0.2.0`,
		Args:    atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if options.dryRun {
				return options.preview(cmd.Context(), nameOf(args))
			}
			return options.upgrade(cmd.Context(), nameOf(args))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.image, "image", "", "node image in the engine")
	flags.BoolVar(&options.drain, "drain", true, "let pods leave a node before it is swapped")
	flags.DurationVar(&options.patience, "wait-timeout", provision.DefaultPatience, "how long to wait for health after each node")
	flags.BoolVar(&options.dryRun, "dry-run", false, "print what would be done, and do nothing")
	addForm(cmd, &options.form)
	return cmd
}

func (o *upgradeOptions) asked() provision.Upgrade {
	return provision.Upgrade{Image: o.image, Undrained: !o.drain}
}

func (o *upgradeOptions) upgrade(ctx context.Context, name string) error {
	view := newView(o.stderr)
	defer view.close()
	reconciler, err := o.reconciler(view.hear)
	if err != nil {
		return err
	}
	reconciler.Patience = o.patience
	result, err := reconciler.Upgrade(ctx, name, o.asked())
	view.close()
	if err != nil {
		return err
	}
	if o.form != formTable {
		return o.form.print(o.stdout, struct {
			Cluster provision.Cluster  `json:"cluster"`
			Steps   []provision.Step   `json:"steps"`
			Timings []provision.Timing `json:"timings"`
		}{result.Access.Cluster, result.Steps, result.Timings}, nil)
	}
	fmt.Fprintf(o.stderr, "Cluster %q is of %s, with Kubernetes %s.\n", name, o.image, result.Access.Cluster.KubernetesVersion)
	return nil
}

// preview prints the plan.
func (o *upgradeOptions) preview(ctx context.Context, name string) error {
	reconciler, err := o.reconciler(nil)
	if err != nil {
		return err
	}
	steps, err := reconciler.PreviewUpgrade(ctx, name, o.asked())
	if err != nil {
		return err
	}
	plan := struct {
		Steps []provision.Step `json:"steps"`
	}{steps}
	return o.form.print(o.stdout, plan, func() [][]string { return planRows(provision.Cluster{Name: name}, steps) })
}
