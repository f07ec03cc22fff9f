package main

import "github.com/spf13/cobra"

func newCluster(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Create, stop, start, upgrade, reconcile, destroy and look at clusters",
		Args:  noSuchCommand,
		RunE:  help,
	}
	cmd.AddCommand(
		newClusterCreate(a),
		newClusterDestroy(a),
		newClusterList(a),
		newClusterShow(a),
		newClusterStart(a),
		newClusterStop(a),
		newClusterPause(a),
		newClusterResume(a),
		newClusterUpgrade(a),
		newClusterReconcile(a),
	)
	return cmd
}
