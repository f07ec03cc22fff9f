package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

type listOptions struct {
	*app
	form form
}

func newClusterList(a *app) *cobra.Command {
	options := &listOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List clusters",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return options.list(cmd.Context())
		},
	}
	addForm(cmd, &options.form)
	return cmd
}

func (o *listOptions) list(ctx context.Context) error {
	reconciler, err := o.reconciler(nil)
	if err != nil {
		return err
	}
	clusters, err := reconciler.List(ctx)
	if err != nil {
		return err
	}
	return o.form.print(o.stdout, clusters, func() [][]string { return clusterRows(clusters) })
}

func clusterRows(clusters []provision.Summary) [][]string {
	rows := [][]string{{"CLUSTER", "PROVIDER", "STATUS", "NODES", "SUBNET", "KUBERNETES"}}
	for _, cluster := range clusters {
		desired, kubernetes := len(cluster.Observed.Machines), "-"
		if cluster.Cluster != nil {
			desired, kubernetes = len(cluster.Cluster.Nodes), cluster.Cluster.KubernetesVersion
		}
		rows = append(rows, []string{
			cluster.Name, cluster.Provider, string(cluster.Status),
			fmt.Sprintf("%d/%d", running(cluster.Observed.Machines), desired), cluster.Subnet.String(), kubernetes,
		})
	}
	return rows
}

func running(machines []provision.Machine) int {
	count := 0
	for _, machine := range machines {
		if machine.State == provision.MachineRunning {
			count++
		}
	}
	return count
}
