package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
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
		Long: `Show asks the engine, Kubernetes and the nodes themselves, and shows each node in one state with what every source
has of it: "-" is nothing, "?" that the source does not answer. Below are those nodes that are not as they should be,
the quorum of etcd, and which sources do not answer. bronze explain NODE tells more of one.`,
		Example: `  bronze cluster show dev
  bronze cluster show dev -o json`,
		Args: atMostName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return options.show(cmd.Context(), nameOf(args))
		},
	}
	addForm(cmd, &options.form)
	return cmd
}

// shown is what -o prints: the summary's fields, and the picture.
type shown struct {
	provision.Summary
	Picture picture.Picture `json:"picture"`
}

func (o *showOptions) show(ctx context.Context, name string) error {
	found, err := o.look(ctx, name)
	if err != nil {
		return err
	}
	o.warn(found.warnings)
	if o.form != formTable {
		return o.form.print(o.stdout, shown{found.summary, found.picture}, nil)
	}
	if err := printTable(o.stdout, summaryRows(found.summary)); err != nil {
		return err
	}
	fmt.Fprintln(o.stdout)
	if err := printTable(o.stdout, nodeRows(found)); err != nil {
		return err
	}
	fmt.Fprintln(o.stdout)
	for _, line := range remarks(found.picture) {
		fmt.Fprintln(o.stdout, line)
	}
	return nil
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
