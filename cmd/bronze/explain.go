package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

type explainOptions struct {
	*app
	cluster string
	form    form
}

func newExplain(a *app) *cobra.Command {
	options := &explainOptions{app: a}
	cmd := &cobra.Command{
		Use:   "explain NODE",
		Short: "Say what is known of a node, by whom, and what follows from it",
		Long: `Explain says what each source knows of a node, which state that makes it, what contradicts that, and what bronze
cluster reconcile would do about it and why. A node is named by its name, or by any of its identities or their
beginning: the engine's ID, the node ID, the machine ID or the UID in Kubernetes, the member ID in etcd.`,
		Example: `  bronze explain dev-worker-1 --cluster dev
  bronze explain 8e9e05c52164694d --cluster dev -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(cmd, fmt.Errorf("cannot tell which node is meant: name one"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.explain(cmd.Context(), args[0])
		},
	}
	cmd.Flags().StringVar(&options.cluster, "cluster", provision.DefaultName, "the node's cluster")
	addForm(cmd, &options.form)
	return cmd
}

// explained is what -o prints: all that is known of the nodes that were named.
type explained struct {
	Cluster string                    `json:"cluster"`
	Nodes   []picture.Node            `json:"nodes"`
	Quorum  picture.Quorum            `json:"quorum"`
	Silent  map[picture.Source]string `json:"silent,omitempty"`
	// Prospects are what reconcile would do about the nodes, one for each of its policies that makes a difference.
	Prospects []prospect `json:"prospects"`
}

// prospect is what a command would do about a node.
type prospect struct {
	Node    string         `json:"node"`
	Command string         `json:"command"`
	Plan    reconcile.Plan `json:"plan"`
}

func (o *explainOptions) explain(ctx context.Context, word string) error {
	found, err := o.look(ctx, o.cluster)
	if err != nil {
		return err
	}
	nodes, err := found.picture.Find(word)
	if err != nil {
		return err
	}
	o.warn(found.warnings)
	answer := explained{Cluster: o.cluster, Nodes: nodes, Quorum: found.picture.Quorum, Silent: found.picture.Silent}
	for _, node := range nodes {
		answer.Prospects = append(answer.Prospects, prospects(found, node)...)
	}
	if o.form != formTable {
		return o.form.print(o.stdout, answer, nil)
	}
	for i, node := range nodes {
		if i > 0 {
			fmt.Fprintln(o.stdout)
		}
		if err := explainNode(o.stdout, found, node); err != nil {
			return err
		}
	}
	return nil
}

// explainNode prints the conclusion, what it was drawn from, and what follows.
func explainNode(w io.Writer, found looked, node picture.Node) error {
	fmt.Fprintf(w, "%s is %s: %s\n", node.Name, node.State, node.Why)
	for _, difference := range node.Disagreements {
		fmt.Fprintln(w, "but", difference)
	}
	fmt.Fprintln(w)
	if err := printTable(w, testimony(found, node)); err != nil {
		return err
	}
	for _, prospect := range prospects(found, node) {
		fmt.Fprintf(w, "\n%s\n", prospect.Command)
		if err := printTable(w, prospectRows(prospect.Plan)); err != nil {
			return err
		}
	}
	return nil
}

// prospects are what reconcile would do about a node: by each of its policies for one that is missing, as those decide what
// becomes of it.
func prospects(found looked, node picture.Node) []prospect {
	policies := []reconcile.Missing{reconcile.ForgetMissing}
	if node.State == picture.Missing {
		policies = append(policies, reconcile.ReplaceMissing, reconcile.ResurrectMissing)
	}
	facts := reconcile.Facts{Record: found.record, At: found.sources.At}
	for _, balancer := range found.sources.Engine.Balancers {
		facts.Balancer = balancer.State
	}
	var all []prospect
	for _, policy := range policies {
		command := fmt.Sprintf("bronze cluster reconcile %s --now --missing %s", found.picture.Cluster, policy)
		plan := reconcile.PlanMissing(found.picture, facts, policy).About(node, found.picture)
		all = append(all, prospect{Node: node.Name, Command: command, Plan: plan})
	}
	return all
}

// prospectRows tell of a plan's steps and refusals, indented; a plan of neither says so.
func prospectRows(plan reconcile.Plan) [][]string {
	var rows [][]string
	for _, step := range plan.Steps {
		rows = append(rows, []string{"  " + step.String(), step.Why})
	}
	for _, refusal := range plan.Refusals {
		rows = append(rows, []string{"  refuses: " + refusal.Why}, []string{"  instead: " + refusal.Offer})
	}
	if len(rows) == 0 {
		rows = append(rows, []string{"  does nothing"})
	}
	for _, note := range plan.Notes {
		rows = append(rows, []string{"  note: " + note})
	}
	return rows
}
