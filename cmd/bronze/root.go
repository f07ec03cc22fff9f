package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

// newRoot is the whole command tree.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "bronze",
		Short: "Local Kubernetes clusters of Talos-compatible nodes",
		Long: `Bronze makes local Kubernetes clusters whose nodes speak Talos's machine config and machine API,
from a node image that holds all they need.`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       noSuchCommand,
		RunE:                       help,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.stateDir, "state-dir", "", "where clusters are remembered (default ~/.bronze)")
	flags.StringVar(&a.provider, "provider", provision.DefaultProvider, "what nodes are made of: docker")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misused(cmd, err) })
	inGroup(root, "clusters", "Clusters on this host:",
		newCluster(a), newNode(a), newExplain(a), newPrune(a), newKubeconfig(a), newTalosconfig(a), newImage(a), newDrill(a), newVersion(a),
	)
	addNodeCommands(root, a)
	return root
}

// inGroup adds commands that help lists together.
func inGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
}

func help(cmd *cobra.Command, _ []string) error {
	return cmd.Help()
}

// misused is a usageError that says where the usage is told.
func misused(cmd *cobra.Command, err error) error {
	return usageError{provision.WithHint(err, fmt.Sprintf("%s --help", cmd.CommandPath()))}
}

// noSuchCommand is for commands that have subcommands only.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	err := misused(cmd, fmt.Errorf("cannot find command %q of %q", args[0], cmd.CommandPath()))
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return provision.WithHint(err, "did you mean: "+strings.Join(similar, ", "))
	}
	return err
}

// atMostName accepts the optional name of a cluster.
func atMostName(cmd *cobra.Command, args []string) error {
	if err := cobra.MaximumNArgs(1)(cmd, args); err != nil {
		return misused(cmd, err)
	}
	return nil
}

// none accepts no argument.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused(cmd, fmt.Errorf("cannot use argument %q", args[0]))
	}
	return nil
}

// nameOf is the cluster that the arguments name.
func nameOf(args []string) string {
	if len(args) == 0 {
		return provision.DefaultName
	}
	return args[0]
}
