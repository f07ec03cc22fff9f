package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/reconcile"
)

func newNode(a *app) *cobra.Command {
	return parent("node", "Add nodes to a cluster, and remove them", newNodeAdd(a), newNodeRemove(a))
}

// scalingFlags are those of commands that change which nodes a cluster has.
type scalingFlags struct {
	*app
	dryRun bool
	form   form
}

func (f *scalingFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be done, and do nothing")
	addForm(cmd, &f.form)
}

// do runs one change with its progress on stderr. The plan of a dry run is the answer, else its notes are for the user.
func (f *scalingFlags) do(change func(*reconcile.Runner, reconcile.Scaling) (reconcile.Scaled, error)) (reconcile.Scaled, error) {
	view := newView(f.stderr)
	defer view.close()
	runner, err := f.runner(view.hear)
	if err != nil {
		return reconcile.Scaled{}, err
	}
	done, err := change(runner, reconcile.Scaling{DryRun: f.dryRun, Tell: f.tell})
	view.close()
	if err != nil {
		return done, err
	}
	if f.form != formTable {
		return done, f.form.print(f.stdout, done, nil)
	}
	return done, nil
}

// tell prints a plan before it is done.
func (f *scalingFlags) tell(plan reconcile.Plan) {
	switch {
	case f.form != formTable:
	case f.dryRun:
		printPlan(f.stdout, plan)
	default:
		for _, note := range plan.Notes {
			fmt.Fprintln(f.stderr, "note:", note)
		}
	}
}
