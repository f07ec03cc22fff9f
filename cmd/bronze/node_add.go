package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

type nodeAddOptions struct {
	scalingFlags
	asked    reconcile.Addition
	role     string
	memory   mebibytes
	patches  []string
	adopt    bool
	patience time.Duration
}

func newNodeAdd(a *app) *cobra.Command {
	options := &nodeAddOptions{scalingFlags: scalingFlags{app: a}}
	cmd := &cobra.Command{
		Use:   "add [CLUSTER]",
		Short: "Add nodes to a cluster that runs",
		Long: `Add makes nodes with the machine config of a living node of their role, without what belongs to that one alone,
and ends when all of them are Ready. Each gets the next name and address that nobody has, nor anything that is left of
a node that is gone. Workers are made side by side, control planes one after another.

A cluster that is not in the state directory is recalled from the engine, by its labels. Interrupted, and run again, it
goes on with the nodes that it had begun.

With --adopt it makes no nodes: those that were made by hand with the cluster's labels, and have joined it, become nodes
like all others.`,
		Example: `  bronze node add dev --count 3
  bronze node add dev --role controlplane --count 2
  bronze node add dev --from dev-worker-2 --config-patch @labels.yaml --memory 4GiB
  bronze node add dev --adopt`,
		Args: atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if options.adopt {
				return options.takeIn(cmd, nameOf(args))
			}
			return options.run(cmd.Context(), nameOf(args))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.role, "role", string(provision.Worker), "role of the nodes: worker or controlplane")
	flags.IntVar(&options.asked.Count, "count", 1, "how many nodes")
	flags.StringVar(&options.asked.From, "from", "", "node whose machine config they get (default a living one of the role)")
	flags.StringArrayVar(&options.patches, "config-patch", nil,
		"change their machine config: @file or the patch itself, strategic merge or JSON patch (repeatable)")
	flags.Float64Var(&options.asked.Resources.CPUs, "cpus", 0, "share of processors for each (default as the node that they are made after)")
	flags.Var(&options.memory, "memory", "memory for each: 2048 (MiB), 2GiB or 2g (default as the node that they are made after)")
	flags.StringVar(&options.asked.Image, "image", "", "node image in the engine (default the cluster's)")
	flags.BoolVar(&options.asked.AllowEven, "allow-even", false, "allow an even number of control planes, which survives no more than one fewer")
	flags.BoolVar(&options.adopt, "adopt", false, "take in nodes that were made by hand, and make none")
	flags.DurationVar(&options.patience, "wait-timeout", provision.DefaultPatience, "how long to wait for a node to be Ready, or to vote")
	options.scalingFlags.add(cmd)
	return cmd
}

func (o *nodeAddOptions) run(ctx context.Context, name string) error {
	patches, err := readPatchFiles(o.patches)
	if err != nil {
		return err
	}
	o.asked.Role, o.asked.Patches, o.asked.Resources.MemoryMiB = provision.Role(o.role), patches, int64(o.memory)
	done, err := o.do(func(runner *reconcile.Runner, how reconcile.Scaling) (reconcile.Scaled, error) {
		runner.Patience = o.patience
		return runner.Add(ctx, name, o.asked, how)
	})
	if err != nil {
		return err
	}
	return o.announce(done, "added")
}

// takeIn refuses flags that are about nodes to be made.
func (o *nodeAddOptions) takeIn(cmd *cobra.Command, name string) error {
	for _, flag := range []string{"role", "count", "from", "config-patch", "cpus", "memory", "image"} {
		if cmd.Flags().Changed(flag) {
			return misused(cmd, errors.New("cannot use --"+flag+" with --adopt, which makes no nodes"))
		}
	}
	done, err := o.do(func(runner *reconcile.Runner, how reconcile.Scaling) (reconcile.Scaled, error) {
		runner.Patience = o.patience
		return runner.Adopt(cmd.Context(), name, how)
	})
	if err != nil {
		return err
	}
	return o.announce(done, "adopted")
}

// announce says which nodes there are now that were not.
func (o *nodeAddOptions) announce(done reconcile.Scaled, how string) error {
	nodes := done.Nodes()
	if o.dryRun || o.form != formTable || len(nodes) == 0 {
		return nil
	}
	rows := [][]string{{"NODE", "ROLE", "ADDRESS", "CPUS", "MEMORY"}}
	for _, node := range nodes {
		rows = append(rows, []string{
			node.Name, string(node.Role), node.IP.String(), fmt.Sprintf("%g", node.Resources.CPUs), fmt.Sprintf("%d MiB", node.Resources.MemoryMiB),
		})
	}
	fmt.Fprintf(o.stderr, "Cluster %q has %d nodes, these are %s:\n", done.Record.Cluster.Name, len(done.Record.Cluster.Nodes), how)
	return printTable(o.stdout, rows)
}
