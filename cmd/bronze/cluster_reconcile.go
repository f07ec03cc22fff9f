package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

type reconcileOptions struct {
	*app
	missing  string
	interval time.Duration
	now      bool
	dryRun   bool
	watch    bool
	patience time.Duration
	form     form
}

func newClusterReconcile(a *app) *cobra.Command {
	options := &reconcileOptions{app: a}
	cmd := &cobra.Command{
		Use:   "reconcile [NAME]",
		Short: "Clear up after nodes that were deleted, or bring them back",
		Long: `Reconcile looks at a cluster from five sources (the state directory, the engine, Kubernetes, discovery, etcd),
finds nodes whose machines are gone and ghosts that only some sources still know, says what it will do and why,
does it, and has two living nodes confirm it.

What is missing is forgotten by all sources; with --missing replace a fresh node takes its place, and with
--missing resurrect the same node comes back on its volumes. Something is only missing when the engine says so,
twice, --interval apart; --now takes one look for enough. Nodes that are stopped, paused or unreachable, and those
of others, are left alone.

Control planes go one after the other, only with a quorum, and after a snapshot of etcd. Where that is not safe,
nothing is done about them, reconcile says what would help, and ends with code 3.`,
		Example: `  bronze cluster reconcile dev --dry-run
  bronze cluster reconcile dev --now --missing replace
  bronze cluster reconcile dev --watch`,
		Args: atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			missing, err := reconcile.ParseMissing(options.missing)
			if err != nil {
				return misused(cmd, err)
			}
			return options.reconcile(cmd.Context(), nameOf(args), missing)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.missing, "missing", string(reconcile.ForgetMissing), "what to do about missing nodes: forget, replace or resurrect")
	flags.DurationVar(&options.interval, "interval", reconcile.DefaultInterval, "how long something must be missing, and how often --watch looks")
	flags.BoolVar(&options.now, "now", false, "do not wait for a second look")
	flags.BoolVar(&options.dryRun, "dry-run", false, "print what would be done, and do nothing")
	flags.BoolVar(&options.watch, "watch", false, "go on until interrupted")
	flags.DurationVar(&options.patience, "wait-timeout", provision.DefaultPatience, "how long to wait for a new node")
	addForm(cmd, &options.form)
	cmd.MarkFlagsMutuallyExclusive("watch", "dry-run")
	return cmd
}

// runner wires the doer of plans to the provider and to the clients of this host.
func (a *app) runner(progress provision.Progress) (*reconcile.Runner, error) {
	reconciler, err := a.reconciler(progress)
	if err != nil {
		return nil, err
	}
	engine, ok := reconciler.Provider.(reconcile.Engine)
	if !ok {
		return nil, fmt.Errorf("cannot change the nodes of a cluster on %s", a.provider)
	}
	return &reconcile.Runner{
		Engine: engine, Store: reconciler.Store, Connector: a.changer, Contexts: reconciler.Contexts, Progress: progress,
	}, nil
}

func (o *reconcileOptions) reconcile(ctx context.Context, name string, missing reconcile.Missing) error {
	view := newView(o.stderr)
	defer view.close()
	runner, err := o.runner(view.hear)
	if err != nil {
		return err
	}
	runner.Patience = o.patience
	policy := reconcile.Policy{Missing: missing, Interval: o.interval, DryRun: o.dryRun}
	if o.now {
		policy.Interval = 0
	}
	if o.watch {
		runner.Watch(ctx, name, policy, o.interval, o.report)
		return nil
	}
	outcome, err := runner.Mend(ctx, name, policy, o.tell)
	view.close()
	if o.form != formTable {
		return cmp.Or(err, o.form.print(o.stdout, outcome, nil))
	}
	return err
}

// tell prints a plan that is about to be done; in other forms it is a part of the answer in the end.
func (o *reconcileOptions) tell(plan reconcile.Plan) {
	if o.form == formTable {
		printPlan(o.stdout, plan)
	}
}

// report prints what a watch has to tell.
func (o *reconcileOptions) report(told reconcile.Report) {
	switch {
	case told.Err != nil:
		report(o.stderr, told.Err)
	case o.form == formTable:
		printPlan(o.stdout, *told.Plan)
	default:
		report(o.stderr, o.form.print(o.stdout, told.Plan, nil))
	}
}

// printPlan prints steps with their reasons, then notes, then what is refused with what helps.
func printPlan(w io.Writer, plan reconcile.Plan) {
	if len(plan.Steps) > 0 {
		rows := [][]string{{"STEP", "WHAT", "WHY", "AFTER"}}
		for i, step := range plan.Steps {
			rows = append(rows, []string{fmt.Sprint(i + 1), step.String(), step.Why, numbers(step.After)})
		}
		// Standard output that is gone is found by who prints the answer.
		_ = printTable(w, rows)
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(w, "note:", note)
	}
	for _, refusal := range plan.Refusals {
		fmt.Fprintf(w, "refused: %s: %s\n  instead: %s\n", refusal.Node, refusal.Why, refusal.Offer)
	}
	if len(plan.Steps)+len(plan.Notes)+len(plan.Refusals) == 0 {
		fmt.Fprintf(w, "cluster %q needs nothing\n", plan.Cluster)
	}
}
