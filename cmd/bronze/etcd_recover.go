package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
	"github.com/bronze-os/bronze/provision/recovery"
)

type recoverOptions struct {
	*app
	asked    recovery.Options
	dryRun   bool
	yes      bool
	patience time.Duration
	form     form
}

func newEtcdRecover(a *app) *cobra.Command {
	options := &recoverOptions{app: a}
	cmd := &cobra.Command{
		Use:   "recover [CLUSTER]",
		Short: "Found etcd anew for a cluster on this host that lost its quorum for good",
		Long: `Recover brings a cluster back whose etcd lost its quorum for good, or whose only control plane was removed with its
volumes. It proves that first: where the quorum is there, or nodes are only paused, stopped or unreachable, or the data
of lost ones are still on their volumes, it refuses and names the milder cure.

etcd begins with what has the most changes: the newest snapshot that is kept in the state directory (reconcile takes
one before it changes etcd), or what a control plane that still runs has. Then all control planes are made anew without
their old etcd data, the first founds etcd, the others join, and what Kubernetes and discovery remember of nodes that are
no more is cleared away. Before it begins, it says what would be lost, and asks.

Where it was interrupted, running it again goes on.`,
		Example: `  bronze etcd recover dev --dry-run
  bronze etcd recover dev --yes
  bronze etcd recover dev --from db.snapshot`,
		Args: atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.recover(cmd.Context(), cmd.InOrStdin(), nameOf(args))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.asked.From, "from", "", "file that bronze etcd snapshot wrote, instead of the newest that is kept")
	flags.StringVar(&options.asked.FromNode, "from-node", "", "control plane that still runs, whose own data are to be taken")
	flags.BoolVar(&options.dryRun, "dry-run", false, "prove, and tell what would be done and lost, and do nothing")
	flags.BoolVarP(&options.yes, "yes", "y", false, "do not ask")
	flags.DurationVar(&options.patience, "wait-timeout", provision.DefaultPatience, "how long to wait for each control plane and node")
	addForm(cmd, &options.form)
	cmd.MarkFlagsMutuallyExclusive("from", "from-node")
	return cmd
}

func (o *recoverOptions) recover(ctx context.Context, stdin io.Reader, name string) error {
	view := newView(o.stderr)
	defer view.close()
	reconciler, err := o.reconciler(view.hear)
	if err != nil {
		return err
	}
	engine, ok := reconciler.Provider.(reconcile.Engine)
	if !ok {
		return fmt.Errorf("cannot recover etcd on %s", o.provider)
	}
	r := recovery.Recovery{Runner: &reconcile.Runner{
		Engine: engine, Store: reconciler.Store, Connector: o.changer, Contexts: reconciler.Contexts,
		Progress: view.hear, Patience: o.patience,
	}}
	prospect, err := r.Plan(ctx, name, o.asked)
	if told := o.tell(prospect); err != nil || told != nil || o.dryRun {
		return errors.Join(err, told)
	}
	if err := o.confirm(stdin, name); err != nil {
		return err
	}
	if _, err := r.Recover(ctx, name, o.asked); err != nil {
		return err
	}
	view.close()
	fmt.Fprintf(o.stderr, "Cluster %q is recovered.\n", name)
	return nil
}

// tell prints what is proven, what would be lost, and the steps. The reasons of a refusal are in its error.
func (o *recoverOptions) tell(prospect recovery.Prospect) error {
	if o.form == formTable {
		for _, note := range prospect.Plan.Notes {
			fmt.Fprintln(o.stderr, note+".")
		}
		if len(prospect.Plan.Steps) == 0 {
			return nil
		}
	}
	return o.form.print(o.stdout, prospect, func() [][]string {
		rows := [][]string{{"STEP", "WHY"}}
		for _, step := range prospect.Plan.Steps {
			rows = append(rows, []string{step.String(), step.Why})
		}
		return rows
	})
}

// confirm asks the user, who must be there to answer.
func (o *recoverOptions) confirm(stdin io.Reader, name string) error {
	if o.yes {
		return nil
	}
	file, isFile := stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return provision.WithHint(fmt.Errorf("cannot ask whether to recover %q: there is no terminal", name), "--yes, where the plan is as it should be")
	}
	fmt.Fprintf(o.stderr, "Recover cluster %q by these steps? Type its name: ", name)
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != name {
		return errors.New("cannot recover without your word: nothing was done")
	}
	return nil
}
