package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

// turnOptions are those of the four commands that change whether a cluster's machines run.
type turnOptions struct {
	*app
	turn func(*provision.Reconciler, context.Context, string) (provision.Result, error)
	// done completes "Cluster ... ".
	done     string
	patience time.Duration
	wait     bool
}

func newClusterStop(a *app) *cobra.Command {
	options := &turnOptions{app: a, turn: (*provision.Reconciler).Stop, done: "is stopped"}
	return options.bind(&cobra.Command{
		Use:   "stop [NAME]",
		Short: "Stop a cluster's machines in order, and keep all that is theirs",
		Long: `Stop ends the workers, then the control planes, then the load balancer, each in order. Data, addresses and
ports stay theirs, and a restart of the engine does not start them: bronze cluster start does.`,
		Example: `  bronze cluster stop dev`,
	})
}

func newClusterStart(a *app) *cobra.Command {
	options := &turnOptions{app: a, turn: (*provision.Reconciler).Start, done: "runs"}
	return options.bindWaiting(&cobra.Command{
		Use:   "start [NAME]",
		Short: "Start a cluster's machines, and wait until it is healthy",
		Long: `Start brings every machine of a cluster to run, the control planes before the workers, and waits until the
cluster is healthy. It does not matter what stopped them. Then it makes the cluster current in the kubeconfig
and the talosconfig.`,
		Example: `  bronze cluster start dev`,
	})
}

func newClusterPause(a *app) *cobra.Command {
	options := &turnOptions{app: a, turn: (*provision.Reconciler).Pause, done: "is paused"}
	return options.bind(&cobra.Command{
		Use:   "pause [NAME]",
		Short: "Freeze a cluster, so that it takes no processor time",
		Long: `Pause freezes all processes of a cluster where they are. They keep their memory, and go on at once with
bronze cluster resume.`,
		Example: `  bronze cluster pause dev`,
	})
}

func newClusterResume(a *app) *cobra.Command {
	options := &turnOptions{app: a, turn: (*provision.Reconciler).Resume, done: "runs"}
	return options.bindWaiting(&cobra.Command{
		Use:     "resume [NAME]",
		Short:   "Let a paused cluster go on, and wait until it is healthy",
		Example: `  bronze cluster resume dev`,
	})
}

func (o *turnOptions) bind(cmd *cobra.Command) *cobra.Command {
	cmd.Args = atMostName
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), nameOf(args)) }
	return cmd
}

// bindWaiting is bind for a command that waits for health.
func (o *turnOptions) bindWaiting(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait for health")
	cmd.Flags().DurationVar(&o.patience, "wait-timeout", provision.DefaultPatience, "how long to wait for health")
	return o.bind(cmd)
}

func (o *turnOptions) run(ctx context.Context, name string) error {
	view := newView(o.stderr)
	defer view.close()
	reconciler, err := o.reconciler(view.hear)
	if err != nil {
		return err
	}
	reconciler.Patience, reconciler.Hasty = o.patience, !o.wait
	_, err = o.turn(reconciler, ctx, name)
	view.close()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stderr, "Cluster %q %s.\n", name, o.done)
	return nil
}
