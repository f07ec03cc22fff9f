package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/operate"
)

// addNodeCommands adds what works on any cluster whose talosconfig one has, and on files.
func addNodeCommands(root *cobra.Command, a *app) {
	inGroup(root, "nodes", "Nodes, over their machine API:",
		newApplyConfig(a), newBootstrap(a), newContainers(a), newCopy(a), newDisks(a), newDmesg(a), newEtcd(a), newEvents(a),
		newGet(a), newHealth(a), newList(a), newLogs(a), newMemory(a), newMounts(a), newNetstat(a), newPatch(a), newPcap(a),
		newProcesses(a), newRead(a), newReboot(a), newReset(a), newRestart(a), newServices(a), newShutdown(a), newStats(a),
		newTime(a), newUsage(a),
	)
	inGroup(root, "config", "Machine configs and talosconfigs:",
		newConfig(a), newGen(a), newMachineConfig(a), newValidate(a),
	)
}

// nodeOptions is what the commands on nodes share: which nodes are meant.
type nodeOptions struct {
	*app
	target      operate.Target
	talosconfig string
}

// addTarget gives a command, or all below it, the flags by which talosctl is told of nodes.
func (o *nodeOptions) addTarget(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&o.target.Nodes, "nodes", "n", nil, "nodes that are meant (default those of the context)")
	flags.StringSliceVarP(&o.target.Endpoints, "endpoints", "e", nil, "machine APIs to connect to (default those of the context)")
	flags.StringVar(&o.target.Context, "context", "", "context of the talosconfig (default its current one)")
	cluster := "c"
	if flags.ShorthandLookup(cluster) != nil {
		// The command means something else by it.
		cluster = ""
	}
	flags.StringVarP(&o.target.Cluster, "cluster", cluster, "", "cluster that a proxy is to pass calls on to")
	flags.StringVar(&o.talosconfig, "talosconfig", "", "client config (default TALOSCONFIG, then ~/.talos/config)")
	flags.StringVar(&o.target.SideroV1Keys, "siderov1-keys-dir", "", "PGP keys, for contexts that sign with one (default SIDEROV1_KEYS_DIR, then ~/.talos/keys)")
}

// on does something with the nodes that the flags mean.
func (o *nodeOptions) on(do func(*operate.Fleet) error) error {
	config, err := o.environ.LoadTalosconfig(o.talosconfig)
	if err != nil {
		return err
	}
	fleet, err := operate.Open(config, o.target)
	if errors.Is(err, operate.ErrNoContext) {
		return provision.WithHint(err, o.contextCure())
	}
	if err != nil {
		return err
	}
	return closing(fleet, do)
}

// onInsecure does something with nodes that have no machine config yet.
func (o *nodeOptions) onInsecure(fingerprints []string, do func(*operate.Fleet) error) error {
	target := o.target
	if len(target.Nodes) == 0 {
		target.Nodes = target.Endpoints
	}
	fleet, err := operate.OpenInsecure(target, fingerprints)
	if err != nil {
		return err
	}
	return closing(fleet, do)
}

func closing(fleet *operate.Fleet, do func(*operate.Fleet) error) error {
	return errors.Join(do(fleet), fleet.Close())
}

// contextCure names the command that makes the context which is missing, where the state directory tells which.
func (o *nodeOptions) contextCure() string {
	const general = "bronze talosconfig NAME --merge adds a cluster of yours; bronze config merge adds a file"
	store, err := provision.OpenStore(o.stateDir)
	if err != nil {
		return general
	}
	names, err := store.List()
	switch {
	case err != nil:
		return general
	case slices.Contains(names, o.target.Context):
		return "bronze talosconfig " + o.target.Context + " --merge"
	case len(names) == 1:
		return "bronze talosconfig " + names[0] + " --merge, then --context " + names[0]
	default:
		return general
	}
}

// nodeCommand makes a command on nodes of a method that does its work.
func nodeCommand(o *nodeOptions, cmd *cobra.Command, run func(ctx context.Context, args []string) error) *cobra.Command {
	o.addTarget(cmd.Flags())
	return runs(cmd, run)
}

// runs makes a usage error of arguments that do not fit.
func runs(cmd *cobra.Command, run func(ctx context.Context, args []string) error) *cobra.Command {
	fits := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := fits(cmd, args); err != nil {
			return misused(cmd, err)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args) }
	return cmd
}

// parent is a command that has subcommands only.
func parent(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noSuchCommand, RunE: help}
	cmd.AddCommand(children...)
	return cmd
}
