package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

// printLine shows whose line it is.
func (a *app) printLine(line operate.Line) error {
	_, err := fmt.Fprintf(a.stdout, "%s: %s\n", line.Node, line.Text)
	return err
}

func newLogs(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	var query operate.LogQuery
	cmd := &cobra.Command{
		Use:   "logs SERVICE",
		Short: "Print the log of a service, or of a container of Kubernetes",
		Long: `Logs prints what a service of the nodes logged, each line with its node. With --kubernetes it is a container, by the ID
that bronze containers --kubernetes lists.`,
		Example: `  bronze logs kubelet -f -n 10.5.0.2,10.5.0.3
  bronze logs -k kube-system/kube-apiserver-dev-controlplane-1:kube-apiserver --tail 20`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVarP(&query.Follow, "follow", "f", false, "go on as lines are logged")
	cmd.Flags().BoolVarP(&query.Kubernetes, "kubernetes", "k", false, "look among the containers of Kubernetes")
	cmd.Flags().Int32Var(&query.Tail, "tail", -1, "lines to begin with (default all)")
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		query.ID = args[0]
		return options.on(func(fleet *operate.Fleet) error { return fleet.Logs(ctx, query, a.printLine) })
	})
}

func newDmesg(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	var follow, tail bool
	cmd := &cobra.Command{Use: "dmesg", Short: "Print the kernel's log", Args: cobra.NoArgs}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines are logged")
	cmd.Flags().BoolVar(&tail, "tail", false, "leave out what was logged before; makes sense with --follow")
	return nodeCommand(options, cmd, func(ctx context.Context, _ []string) error {
		return options.on(func(fleet *operate.Fleet) error { return fleet.Dmesg(ctx, follow, tail, a.printLine) })
	})
}

func newContainers(a *app) *cobra.Command {
	var kubernetes bool
	cmd := &cobra.Command{Use: "containers", Aliases: []string{"c"}, Short: "List the containers of the nodes", Args: cobra.NoArgs}
	addKubernetes(cmd, &kubernetes)
	return askCommand(&nodeOptions{app: a}, cmd, []string{"NAMESPACE", "ID", "IMAGE", "PID", "STATUS"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.Container], error) {
			return fleet.Containers(ctx, kubernetes)
		}, containerRows)
}

// addKubernetes adds the flag that looks at Kubernetes's containers instead of the node's own.
func addKubernetes(cmd *cobra.Command, kubernetes *bool) {
	cmd.Flags().BoolVarP(kubernetes, "kubernetes", "k", false, "look among the containers of Kubernetes")
}

// containerRows sets containers off below their pod.
func containerRows(list *machine.Container) [][]string {
	var rows [][]string
	for _, container := range list.GetContainers() {
		name := container.GetId()
		if container.GetId() != container.GetPodId() {
			name = "└─ " + name
		}
		rows = append(rows, []string{
			container.GetNamespace(), name, container.GetImage(), fmt.Sprint(container.GetPid()), container.GetStatus(),
		})
	}
	return rows
}

func newStats(a *app) *cobra.Command {
	var kubernetes bool
	cmd := &cobra.Command{Use: "stats", Short: "Show what containers use", Args: cobra.NoArgs}
	addKubernetes(cmd, &kubernetes)
	return askCommand(&nodeOptions{app: a}, cmd, []string{"NAMESPACE", "ID", "MEMORY(MB)", "CPU"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.Stats], error) {
			return fleet.Stats(ctx, kubernetes)
		}, func(stats *machine.Stats) [][]string {
			var rows [][]string
			for _, stat := range stats.GetStats() {
				name := stat.GetId()
				if stat.GetId() != stat.GetPodId() {
					name = "└─ " + name
				}
				rows = append(rows, []string{
					stat.GetNamespace(), name, fmt.Sprintf("%.2f", float64(stat.GetMemoryUsage())/1e6), fmt.Sprint(stat.GetCpuUsage()),
				})
			}
			return rows
		})
}

func newRestart(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	var kubernetes bool
	cmd := &cobra.Command{Use: "restart ID", Short: "Restart a container", Args: cobra.ExactArgs(1)}
	addKubernetes(cmd, &kubernetes)
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		if args[0] == "" {
			return misused(cmd, errors.New("cannot restart a container without an ID"))
		}
		return options.on(func(fleet *operate.Fleet) error { return fleet.RestartContainer(ctx, args[0], kubernetes) })
	})
}
