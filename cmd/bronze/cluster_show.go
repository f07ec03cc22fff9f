package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

type showOptions struct {
	*app
	form form
}

func newClusterShow(a *app) *cobra.Command {
	options := &showOptions{app: a}
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show one cluster: what is wanted and what is there",
		Args:  atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.show(cmd.Context(), nameOf(args))
		},
	}
	addForm(cmd, &options.form)
	return cmd
}

func (o *showOptions) show(ctx context.Context, name string) error {
	reconciler, err := o.reconciler(nil)
	if err != nil {
		return err
	}
	cluster, err := reconciler.Show(ctx, name)
	if err != nil {
		return err
	}
	if o.form == formTable {
		if err := printTable(o.stdout, summaryRows(cluster)); err != nil {
			return err
		}
		fmt.Fprintln(o.stdout)
	}
	return o.form.print(o.stdout, cluster, func() [][]string { return nodeRows(cluster) })
}

func summaryRows(cluster provision.Summary) [][]string {
	rows := [][]string{
		{"cluster", cluster.Name},
		{"status", string(cluster.Status)},
		{"provider", cluster.Provider},
		{"subnet", cluster.Subnet.String()},
		{"kubernetes API", "https://" + endpoint(cluster.KubernetesAPI)},
		{"machine API", endpoint(cluster.MachineAPI)},
	}
	if !cluster.KubernetesAPI.IsValid() {
		rows[4][1] = "-"
	}
	if cluster.Cluster != nil {
		rows = append(rows,
			[]string{"image", cluster.Cluster.Image},
			[]string{"kubernetes", cluster.Cluster.KubernetesVersion})
	}
	return rows
}

func endpoint(address netip.AddrPort) string {
	if !address.IsValid() {
		return "-"
	}
	return address.String()
}

// nodeRows has a row for every node that is wanted or there.
func nodeRows(cluster provision.Summary) [][]string {
	rows := [][]string{{"NODE", "ROLE", "STATE", "ADDRESS", "CPUS", "MEMORY"}}
	seen := map[string]bool{}
	for _, machine := range cluster.Observed.Machines {
		seen[machine.Name] = true
		rows = append(rows, nodeRow(machine.Name, machine.Role, string(machine.State), machine.IP, machine.Resources))
	}
	if cluster.Cluster == nil {
		return rows
	}
	for _, node := range cluster.Cluster.Nodes {
		if !seen[node.Name] {
			rows = append(rows, nodeRow(node.Name, node.Role, "missing", node.IP, node.Resources))
		}
	}
	return rows
}

func nodeRow(name string, role provision.Role, state string, ip netip.Addr, size provision.Resources) []string {
	return []string{
		name, string(role), state, ip.String(), fmt.Sprintf("%g", size.CPUs), fmt.Sprintf("%d MiB", size.MemoryMiB),
	}
}
