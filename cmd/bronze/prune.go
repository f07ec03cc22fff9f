package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

type pruneOptions struct {
	*app
	dryRun bool
	form   form
}

func newPrune(a *app) *cobra.Command {
	options := &pruneOptions{app: a}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Take away what deleted clusters and interrupted commands left",
		Long: `Prune finds, without any state directory, what clusters left behind that are no more: machines, volumes and
networks that bear our labels, entries in the client configs that bear our stamp, and in the state directory the
locks and half-written files of processes that died. It tells of each why nobody needs it, and takes it away.

It leaves alone every cluster with a node that runs or is paused, every one that is stored, every one that a process
works on, every stopped one that could be started, and whatever is less than a minute old. Where the engine does not
answer, nothing is taken away. A cluster that runs and is not wanted goes with bronze cluster destroy.`,
		Example: `  bronze prune --dry-run
  bronze prune`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return options.prune(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&options.dryRun, "dry-run", false, "tell what would be taken away, and leave it")
	addForm(cmd, &options.form)
	return cmd
}

func (o *pruneOptions) prune(ctx context.Context) error {
	view := newView(o.stderr)
	defer view.close()
	reconciler, err := o.reconciler(view.hear)
	if err != nil {
		return err
	}
	found, err := reconciler.Litter(ctx)
	if err != nil {
		return err
	}
	if err := o.tell(found); err != nil || o.dryRun {
		return err
	}
	return reconciler.Prune(ctx, found)
}

// tell prints what is found, before any of it is taken away.
func (o *pruneOptions) tell(found []provision.Litter) error {
	if len(found) == 0 && o.form == formTable {
		fmt.Fprintln(o.stderr, "There is nothing to take away.")
		return nil
	}
	return o.form.print(o.stdout, found, func() [][]string {
		rows := [][]string{{"KIND", "NAME", "CLUSTER", "WHY"}}
		for _, one := range found {
			rows = append(rows, []string{string(one.Kind), one.Name, one.Cluster, one.Why})
		}
		return rows
	})
}
