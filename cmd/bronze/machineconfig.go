package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/machineconfig"
)

func newMachineConfig(a *app) *cobra.Command {
	files := &outputFiles{app: a}
	gen := newGenConfig(files)
	gen.Use = "gen CLUSTER ENDPOINT"
	gen.Flags().BoolVarP(&files.force, "force", "f", false, "overwrite files that are there")
	cmd := parent("machineconfig", "Make and patch machine configs that are files", gen, newMachineConfigPatch(a))
	cmd.Aliases = []string{"mc"}
	return cmd
}

type machineConfigPatchOptions struct {
	*app
	patches []string
	output  string
}

func newMachineConfigPatch(a *app) *cobra.Command {
	options := &machineConfigPatchOptions{app: a}
	cmd := &cobra.Command{
		Use:   "patch FILE",
		Short: "Patch a machine config",
		Long: `Patch applies strategic merge patches and JSON patches to a machine config. A strategic merge patch may be of several
documents, and deletes what it marks with "$patch: delete"; a JSON patch means the main document.`,
		Example: `  bronze machineconfig patch worker.yaml -p @labels.yaml -p '[{"op": "remove", "path": "/machine/sysctls"}]' -o patched.yaml`,
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringArrayVarP(&options.patches, "patch", "p", nil, "@file or the patch itself (repeatable)")
	cmd.Flags().StringVarP(&options.output, "output", "o", "", "file to write (default stdout)")
	return runs(cmd, func(_ context.Context, args []string) error { return options.run(cmd, args[0]) })
}

func (o *machineConfigPatchOptions) run(cmd *cobra.Command, path string) error {
	patches, err := readPatchFiles(o.patches)
	if err != nil {
		return err
	}
	if len(patches) == 0 {
		return misused(cmd, errors.New("cannot patch without a patch: give one with --patch"))
	}
	config, err := readConfig(cmd, path, "the file")
	if err != nil {
		return err
	}
	patched, err := machineconfig.Patch(config, patches)
	if err != nil {
		return err
	}
	if o.output == "" || o.output == "-" {
		_, err = o.stdout.Write(patched)
		return err
	}
	if err := os.WriteFile(o.output, patched, madeMode); err != nil {
		return fmt.Errorf("cannot write the patched config: %w", err)
	}
	return nil
}

// readPatchFiles reads the patches that flags give.
func readPatchFiles(values []string) ([]string, error) {
	var patches []string
	for _, value := range values {
		body, err := readPatch(value)
		if err != nil {
			return nil, err
		}
		patches = append(patches, body)
	}
	return patches, nil
}

// readConfig reads a machine config from a file, or from stdin where the path is -.
func readConfig(cmd *cobra.Command, path, flag string) ([]byte, error) {
	switch path {
	case "":
		return nil, misused(cmd, fmt.Errorf("cannot tell which machine config is meant: name it with %s", flag))
	case "-":
		return io.ReadAll(cmd.InOrStdin())
	default:
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the machine config: %w", err)
		}
		return data, nil
	}
}
