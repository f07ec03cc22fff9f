package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/contexts"
)

func newConfigContext(o *configOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "context NAME", Aliases: []string{"use-context"}, Short: "Make a context the current one", Args: cobra.ExactArgs(1),
	}
	return runs(cmd, func(ctx context.Context, args []string) error {
		return o.edit(ctx, func(config *clientconfig.Config) error { return contexts.UseContext(config, args[0]) })
	})
}

func newConfigEndpoint(o *configOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "endpoint ENDPOINT...", Aliases: []string{"endpoints"}, Short: "Set the endpoints of a context: where to connect to",
		Example: `  bronze config endpoint 10.5.0.2 10.5.0.3`, Args: cobra.ArbitraryArgs,
	}
	return runs(cmd, func(ctx context.Context, args []string) error {
		return o.editContext(ctx, func(found *clientconfig.Context) { found.Endpoints = args })
	})
}

func newConfigNode(o *configOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "node NODE...", Aliases: []string{"nodes"}, Short: "Set the nodes of a context: whom calls are for where --nodes is not said",
		Example: `  bronze config node 10.5.0.2 10.5.0.4`, Args: cobra.ArbitraryArgs,
	}
	return runs(cmd, func(ctx context.Context, args []string) error {
		return o.editContext(ctx, func(found *clientconfig.Context) { found.Nodes = args })
	})
}

func (o *configOptions) editContext(ctx context.Context, change func(*clientconfig.Context)) error {
	return o.edit(ctx, func(config *clientconfig.Config) error {
		found, err := contexts.Context(config, o.target.Context)
		if err != nil {
			return err
		}
		change(found)
		return nil
	})
}

func newConfigMerge(o *configOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "merge FILE", Short: "Take over the contexts of another talosconfig",
		Long: "Merge takes over the contexts of another talosconfig. One whose name is taken gets another.",
		Args: cobra.ExactArgs(1),
	}
	return runs(cmd, func(ctx context.Context, args []string) error {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return fmt.Errorf("cannot read the talosconfig: %w", err)
		}
		from, err := clientconfig.FromBytes(data)
		if err != nil {
			return fmt.Errorf("cannot parse %s: %w", args[0], err)
		}
		return o.edit(ctx, func(config *clientconfig.Config) error {
			for _, rename := range config.Merge(from) {
				fmt.Fprintln(o.stderr, "Renamed context", rename.String())
			}
			return nil
		})
	})
}

func newConfigAdd(o *configOptions) *cobra.Command {
	var authority, certificate, key string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a context", Args: cobra.ExactArgs(1),
		Example: `  bronze config add dev --ca ca.crt --crt admin.crt --key admin.key -e 10.5.0.2`,
	}
	cmd.Flags().StringVar(&authority, "ca", "", "PEM file of the machine API's authority")
	cmd.Flags().StringVar(&certificate, "crt", "", "PEM file of the client certificate")
	cmd.Flags().StringVar(&key, "key", "", "PEM file of the client's key")
	return runs(cmd, func(ctx context.Context, args []string) error {
		added := clientconfig.Context{Endpoints: o.target.Endpoints, Nodes: o.target.Nodes, Cluster: o.target.Cluster}
		for _, file := range []struct {
			path  string
			field *string
		}{{authority, &added.CA}, {certificate, &added.Crt}, {key, &added.Key}} {
			data, err := os.ReadFile(file.path)
			if err != nil {
				return fmt.Errorf("cannot read --ca, --crt or --key: %w", err)
			}
			*file.field = base64.StdEncoding.EncodeToString(data)
		}
		return o.edit(ctx, func(config *clientconfig.Config) error { return contexts.AddContext(config, args[0], added) })
	})
}

func newConfigRemove(o *configOptions) *cobra.Command {
	var sure, dryRun bool
	cmd := &cobra.Command{
		Use: "remove PATTERN", Short: "Remove contexts, but for the current one",
		Example: `  bronze config remove 'test-*' -y`, Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVarP(&sure, "noconfirm", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be removed")
	return runs(cmd, func(ctx context.Context, args []string) error {
		answers := bufio.NewScanner(cmd.InOrStdin())
		return o.edit(ctx, func(config *clientconfig.Config) error {
			names, err := contexts.MatchContexts(config, args[0])
			if err != nil {
				return err
			}
			for _, name := range names {
				if o.removes(name, config.Context, sure || dryRun, answers) && !dryRun {
					delete(config.Contexts, name)
				}
			}
			return nil
		})
	})
}

// removes tells whether a context is to go, and says so.
func (o *configOptions) removes(name, current string, sure bool, answers *bufio.Scanner) bool {
	if name == current {
		fmt.Fprintf(o.stderr, "Context %q stays: it is the current one.\n", name)
		return false
	}
	if !sure {
		fmt.Fprintf(o.stderr, "Remove context %q? (y/N): ", name)
		if !answers.Scan() || !strings.EqualFold(strings.TrimSpace(answers.Text()), "y") {
			return false
		}
	}
	fmt.Fprintf(o.stderr, "Removing context %q.\n", name)
	return true
}
