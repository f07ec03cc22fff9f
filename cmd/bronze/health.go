package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

type healthOptions struct {
	nodeOptions
	query    operate.HealthQuery
	initNode string
	server   bool
}

func newHealth(a *app) *cobra.Command {
	options := &healthOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check a cluster, and wait until all is well",
		Long: `Health goes through the conditions of a healthy cluster, from etcd to schedulable nodes, and waits for each. A node
checks them; with --server=false this command does so itself, which needs a way to Kubernetes's endpoint.`,
		Example: `  bronze health -n 10.5.0.2 --wait-timeout 2m
  bronze health --server=false --control-plane-nodes 10.5.0.2 --worker-nodes 10.5.0.3`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.query.ControlPlanes, "control-plane-nodes", nil, "addresses of the control planes (default those that found each other)")
	flags.StringSliceVar(&options.query.Workers, "worker-nodes", nil, "addresses of the workers (default those that found each other)")
	flags.StringVar(&options.initNode, "init-node", "", "address of one more control plane")
	flags.StringVar(&options.query.KubernetesEndpoint, "k8s-endpoint", "", "URL to ask Kubernetes at (default the cluster's endpoint)")
	flags.DurationVar(&options.query.Patience, "wait-timeout", 20*time.Minute, "how long to wait for all to be well")
	flags.BoolVar(&options.server, "server", true, "let a node check")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error { return options.run(ctx) })
}

func (o *healthOptions) run(ctx context.Context) error {
	query := o.query
	if o.initNode != "" {
		query.ControlPlanes = append(query.ControlPlanes, o.initNode)
	}
	if query.Patience <= 0 {
		return usageError{errors.New("cannot wait for no time: want a --wait-timeout above 0")}
	}
	return o.on(func(fleet *operate.Fleet) error {
		if o.server {
			return fleet.HealthOnServer(ctx, query, func(text string) { fmt.Fprintln(o.stderr, text) })
		}
		return fleet.Health(ctx, query, o.tell)
	})
}

// tell shows a condition's progress, as nodes put it.
func (o *healthOptions) tell(condition, why string) {
	if why == "" {
		why = "OK"
	}
	fmt.Fprintf(o.stderr, "waiting for %s: %s\n", condition, why)
}
