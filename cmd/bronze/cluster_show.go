package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

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

// nodeRows has a row for every node that is wanted, and for the balancer, then for every machine that is not.
func nodeRows(cluster provision.Summary) [][]string {
	rows := [][]string{{"NODE", "ROLE", "STATE", "ADDRESS", "CPUS", "MEMORY"}}
	machines := map[string]provision.Machine{}
	for _, machine := range slices.Concat(cluster.Observed.Machines, cluster.Observed.Balancers) {
		machines[machine.Name] = machine
	}
	for _, node := range wanted(cluster.Cluster) {
		state := "missing"
		if machine, there := machines[node.Name]; there {
			state = string(machine.State)
		}
		rows = append(rows, nodeRow(node, state))
		delete(machines, node.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(machines)) {
		machine := machines[name]
		rows = append(rows, nodeRow(provision.Node{
			Name: name, Role: machine.Role, IP: machine.IP, Resources: machine.Resources,
		}, string(machine.State)))
	}
	return rows
}

// wanted are the nodes of a stored cluster, and its balancer in the form of one.
func wanted(cluster *provision.Cluster) []provision.Node {
	if cluster == nil {
		return nil
	}
	nodes := slices.Clone(cluster.Nodes)
	if balancer := cluster.Balancer; balancer != nil {
		nodes = append(nodes, provision.Node{Name: balancer.Name, Role: provision.RoleBalancer, IP: balancer.IP})
	}
	return nodes
}

// nodeRow has dashes for the size of what is no node, or of a machine that is not of this state directory: the engine
// lists none.
func nodeRow(node provision.Node, state string) []string {
	cpus, memory := "-", "-"
	if node.Resources != (provision.Resources{}) {
		cpus, memory = fmt.Sprintf("%g", node.Resources.CPUs), fmt.Sprintf("%d MiB", node.Resources.MemoryMiB)
	}
	return []string{node.Name, string(node.Role), state, node.IP.String(), cpus, memory}
}
