package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/machineconfig"
)

type genSecretsOptions struct {
	*outputFiles
	path, from, talosVersion string
}

func newGenSecrets(files *outputFiles) *cobra.Command {
	options := &genSecretsOptions{outputFiles: files}
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Make a secrets bundle, from which gen config makes the same cluster's configs again",
		Example: `  bronze gen secrets
  bronze gen secrets --from-controlplane-config controlplane.yaml -o secrets.yaml`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.path, "output-file", "o", "secrets.yaml", "file to write")
	flags.StringVar(&options.from, "from-controlplane-config", "", "take the secrets of this control plane's machine config")
	flags.StringVar(&options.talosVersion, "talos-version", "", "Talos version of the nodes, such as v1.10 (default the newest)")
	return runs(cmd, options.run)
}

func (o *genSecretsOptions) run(context.Context, []string) error {
	if err := o.refuse(o.path); err != nil {
		return err
	}
	bundle, err := o.bundle()
	if err != nil {
		return err
	}
	return o.write(o.path, bundle)
}

func (o *genSecretsOptions) bundle() ([]byte, error) {
	if o.from == "" {
		return machineconfig.NewBundle(o.talosVersion)
	}
	config, err := os.ReadFile(o.from)
	if err != nil {
		return nil, fmt.Errorf("cannot read the machine config: %w", err)
	}
	return machineconfig.BundleOf(config)
}
