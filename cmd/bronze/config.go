package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/contexts"
)

func newConfig(a *app) *cobra.Command {
	options := &configOptions{nodeOptions: nodeOptions{app: a}}
	cmd := parent("config", "Look at and change the talosconfig",
		newConfigContexts(options),
		newConfigContext(options),
		newConfigEndpoint(options),
		newConfigNode(options),
		newConfigInfo(options),
		newConfigMerge(options),
		newConfigAdd(options),
		newConfigNew(options),
		newConfigRemove(options),
	)
	options.addTarget(cmd.PersistentFlags())
	return cmd
}

// configOptions is what the commands on the talosconfig share.
type configOptions struct {
	nodeOptions
}

func (o *configOptions) edit(ctx context.Context, edit func(*clientconfig.Config) error) error {
	return o.environ.EditTalosconfig(ctx, o.talosconfig, edit)
}

func newConfigContexts(o *configOptions) *cobra.Command {
	var form form
	cmd := &cobra.Command{Use: "contexts", Aliases: []string{"get-contexts"}, Short: "List the contexts", Args: cobra.NoArgs}
	addForm(cmd, &form)
	return runs(cmd, func(context.Context, []string) error {
		config, err := o.environ.LoadTalosconfig(o.talosconfig)
		if err != nil {
			return err
		}
		entries := contextEntries(config)
		return form.print(o.stdout, entries, func() [][]string { return contextRows(entries) })
	})
}

// contextEntry is a context in a list of them: nothing of its keys.
type contextEntry struct {
	Name      string   `json:"name"`
	Current   bool     `json:"current"`
	Endpoints []string `json:"endpoints"`
	Nodes     []string `json:"nodes"`
}

func contextEntries(config *clientconfig.Config) []contextEntry {
	entries := []contextEntry{}
	for _, name := range slices.Sorted(maps.Keys(config.Contexts)) {
		found := config.Contexts[name]
		entries = append(entries, contextEntry{
			Name: name, Current: name == config.Context, Endpoints: found.Endpoints, Nodes: found.Nodes,
		})
	}
	return entries
}

func contextRows(entries []contextEntry) [][]string {
	rows := [][]string{{"CURRENT", "NAME", "ENDPOINTS", "NODES"}}
	for _, entry := range entries {
		current := ""
		if entry.Current {
			current = "*"
		}
		rows = append(rows, []string{current, entry.Name, strings.Join(entry.Endpoints, ","), strings.Join(entry.Nodes, ",")})
	}
	return rows
}

func newConfigInfo(o *configOptions) *cobra.Command {
	var form form
	cmd := &cobra.Command{Use: "info", Short: "Show a context: what it reaches, and as whom", Args: cobra.NoArgs}
	addForm(cmd, &form)
	return runs(cmd, func(context.Context, []string) error {
		config, err := o.environ.LoadTalosconfig(o.talosconfig)
		if err != nil {
			return err
		}
		info, err := contexts.Describe(config, o.target.Context)
		if err != nil {
			return err
		}
		return form.print(o.stdout, info, func() [][]string { return infoRows(info, time.Now()) })
	})
}

func infoRows(info contexts.Info, now time.Time) [][]string {
	rows := [][]string{
		{"Current context:", info.Context},
		{"Nodes:", orNone(info.Nodes)},
		{"Endpoints:", orNone(info.Endpoints)},
	}
	if info.NotAfter == nil {
		return rows
	}
	left := fmt.Sprintf("in %d days", int(info.NotAfter.Sub(now).Hours()/24))
	if info.NotAfter.Before(now) {
		left = "it has expired"
	}
	return append(rows,
		[]string{"Roles:", orNone(info.Roles)},
		[]string{"Certificate expires:", info.NotAfter.UTC().Format(time.DateOnly) + " (" + left + ")"})
}

func orNone(values []string) string {
	if len(values) == 0 {
		return "not defined"
	}
	return strings.Join(values, ", ")
}
