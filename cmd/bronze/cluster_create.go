package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

type createOptions struct {
	requestFlags
	*app
	patience time.Duration
	wait     bool
	noConfig bool
	dryRun   bool
	form     form
	started  time.Time
}

func newClusterCreate(a *app) *cobra.Command {
	options := &createOptions{app: a, started: time.Now()}
	cmd := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Create a cluster, or finish one that was begun",
		Long: `Create makes a cluster and waits until every node is Ready and CoreDNS is Available. Then it merges the
cluster into the kubeconfig (KUBECONFIG or ~/.kube/config) and the talosconfig (TALOSCONFIG or
~/.talos/config), and makes it current in both.

A create that was interrupted goes on where it was when it is run again.`,
		Example: `  bronze cluster create
  bronze cluster create dev --workers 3 --memory-workers 4GiB
  bronze cluster create ha --controlplanes 3 --workers 2
  bronze cluster create dev -p 8080:80 --config-patch @patch.yaml`,
		Args: atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := options.request(cmd.Flags(), nameOf(args))
			if err != nil {
				return misused(cmd, err)
			}
			if options.dryRun {
				return options.preview(cmd.Context(), request)
			}
			return options.create(cmd.Context(), request)
		},
	}
	options.add(cmd.Flags())
	cmd.Flags().BoolVar(&options.wait, "wait", true, "wait for health; without, create ends once etcd is bootstrapped")
	cmd.Flags().DurationVar(&options.patience, "wait-timeout", provision.DefaultPatience, "how long to wait for health")
	cmd.Flags().BoolVar(&options.noConfig, "skip-injecting-config", false, "leave the nodes in maintenance, and tell how to apply their machine configs")
	cmd.Flags().BoolVar(&options.dryRun, "dry-run", false, "print what would be done, and do nothing")
	addForm(cmd, &options.form)
	return cmd
}

// created is the answer of a create in JSON and YAML.
type created struct {
	Cluster       provision.Cluster  `json:"cluster"`
	MachineAPI    string             `json:"machineAPI"`
	KubernetesAPI string             `json:"kubernetesAPI"`
	Steps         []provision.Step   `json:"steps"`
	Timings       []provision.Timing `json:"timings"`
	// Seconds are from the start of the process.
	Seconds float64 `json:"seconds"`
}

func (o *createOptions) create(ctx context.Context, request provision.Request) error {
	view := newView(o.stderr)
	defer view.close()
	reconciler, err := o.reconciler(view.hear)
	if err != nil {
		return err
	}
	reconciler.Patience, reconciler.Hasty, reconciler.Uninjected = o.patience, !o.wait, o.noConfig
	result, err := reconciler.Create(ctx, request)
	view.close()
	o.warn(result.Warnings)
	if err != nil {
		return err
	}
	cluster := result.Access.Cluster
	err = o.form.print(o.stdout, created{
		Cluster:       cluster,
		MachineAPI:    result.Access.MachineAPI.String(),
		KubernetesAPI: "https://" + result.Access.KubernetesAPI.String(),
		Steps:         result.Steps,
		Timings:       result.Timings,
		Seconds:       time.Since(o.started).Seconds(),
	}, func() [][]string { return desiredRows(cluster.Nodes) })
	switch {
	case o.form != formTable:
	case o.noConfig:
		fmt.Fprint(o.stderr, howToApply(cluster, reconciler.Store))
	default:
		fmt.Fprintf(o.stderr, "\nCluster %q %s. Use it: kubectl get pods -A\n", cluster.Name, o.outcome(result))
	}
	return err
}

// howToApply tells what brings nodes without machine configs into the cluster.
func howToApply(cluster provision.Cluster, store *provision.Store) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\nThe nodes of cluster %q wait for their machine configs. Apply them:\n", cluster.Name)
	for _, node := range cluster.Nodes {
		fmt.Fprintf(&text, "  bronze apply-config --insecure -n %s -e %s -f %s\n", node.IP, node.IP, store.ConfigPath(cluster.Name, node.Name))
	}
	fmt.Fprintf(&text, "Then run the same create without --skip-injecting-config: it bootstraps etcd and waits for health.\n")
	return text.String()
}

func (o *createOptions) outcome(result provision.Result) string {
	switch {
	case !o.wait:
		return "starts"
	case len(result.Steps) == 0:
		return "is there already, and ready"
	}
	return fmt.Sprintf("is ready after %.1f s", time.Since(o.started).Seconds())
}

// preview prints the plan.
func (o *createOptions) preview(ctx context.Context, request provision.Request) error {
	reconciler, err := o.reconciler(nil)
	if err != nil {
		return err
	}
	reconciler.Uninjected = o.noConfig
	cluster, steps, err := reconciler.Preview(ctx, request)
	if err != nil {
		return err
	}
	plan := struct {
		Cluster provision.Cluster `json:"cluster"`
		Steps   []provision.Step  `json:"steps"`
	}{cluster, steps}
	return o.form.print(o.stdout, plan, func() [][]string { return planRows(cluster, steps) })
}

func planRows(cluster provision.Cluster, steps []provision.Step) [][]string {
	if len(steps) == 0 {
		return [][]string{{fmt.Sprintf("cluster %q needs nothing", cluster.Name)}}
	}
	rows := [][]string{{"STEP", "WHAT", "AFTER"}}
	for i, step := range steps {
		rows = append(rows, []string{fmt.Sprint(i + 1), step.String(), numbers(step.After)})
	}
	return rows
}

// numbers are those of steps, as people count them.
func numbers(steps []int) string {
	var words []string
	for _, step := range steps {
		words = append(words, fmt.Sprint(step+1))
	}
	return strings.Join(words, ", ")
}

func desiredRows(nodes []provision.Node) [][]string {
	rows := [][]string{{"NODE", "ROLE", "ADDRESS", "CPUS", "MEMORY"}}
	for _, node := range nodes {
		rows = append(rows, []string{
			node.Name, string(node.Role), node.IP.String(),
			fmt.Sprintf("%g", node.Resources.CPUs), fmt.Sprintf("%d MiB", node.Resources.MemoryMiB),
		})
	}
	return rows
}
