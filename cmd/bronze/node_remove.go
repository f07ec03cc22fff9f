package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/reconcile"
)

type nodeRemoveOptions struct {
	scalingFlags
	cluster      string
	force        bool
	drainTimeout time.Duration
}

func newNodeRemove(a *app) *cobra.Command {
	options := &nodeRemoveOptions{scalingFlags: scalingFlags{app: a}}
	cmd := &cobra.Command{
		Use:     "remove NODE...",
		Aliases: []string{"rm"},
		Short:   "Take nodes out of a cluster, and leave nothing of them",
		Long: `Remove lets pods leave each node, lets control planes leave etcd, and takes the nodes out of all that knows them:
the engine with their volumes, Kubernetes, discovery, the load balancer, the state directory. It ends when two of the
nodes that stay confirm that.

Control planes go one after another, and only while etcd keeps its quorum without them; the last one stays. Nodes whose
machines do not run, or are gone, are removed without their help. Interrupted, and run again, it goes on.`,
		Example: `  bronze node remove dev-worker-2 dev-worker-3 --cluster dev
  bronze node remove bronze-controlplane-2 bronze-controlplane-3`,
		Args: cobra.MinimumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&options.cluster, "cluster", "", "cluster that they are of (default the one that their names begin with)")
	flags.BoolVar(&options.force, "force", false, "do not ask pods to leave; remove nodes too that are paused or do not answer")
	flags.DurationVar(&options.drainTimeout, "drain-timeout", reconcile.DefaultDrainPatience, "how long pods may take to leave")
	options.scalingFlags.add(cmd)
	return runs(cmd, options.run)
}

func (o *nodeRemoveOptions) run(ctx context.Context, names []string) error {
	cluster, err := clusterOf(o.cluster, names)
	if err != nil {
		return err
	}
	_, err = o.do(func(runner *reconcile.Runner, how reconcile.Scaling) (reconcile.Scaled, error) {
		runner.DrainPatience = o.drainTimeout
		return runner.Remove(ctx, cluster, reconcile.Removal{Names: names, Force: o.force}, how)
	})
	if err == nil && !o.dryRun {
		fmt.Fprintf(o.stderr, "Nothing is left of %s.\n", strings.Join(names, ", "))
	}
	return err
}

// clusterOf is the cluster that is named, or that the nodes' names begin with.
func clusterOf(named string, nodes []string) (string, error) {
	if named != "" {
		return named, nil
	}
	found := ""
	for _, node := range nodes {
		cluster := clusterIn(node)
		if cluster == "" || found != "" && found != cluster {
			return "", provision.WithHint(fmt.Errorf("cannot tell which cluster %s are of", strings.Join(nodes, ", ")), "name it with --cluster")
		}
		found = cluster
	}
	return found, nil
}

// clusterIn is what comes before the role and the number in a node's name; empty where there is none.
func clusterIn(node string) string {
	for _, role := range []provision.Role{provision.ControlPlane, provision.Worker} {
		if at := strings.LastIndex(node, "-"+string(role)+"-"); at > 0 {
			return node[:at]
		}
	}
	return ""
}
