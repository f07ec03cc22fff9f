package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision/machineconfig"
	"github.com/bronze-os/bronze/provision/operate"
)

// applyMode is the flag --mode.
type applyMode struct {
	text string
	mode machine.ApplyConfigurationRequest_Mode
}

// String is the flag's value.
func (m *applyMode) String() string { return m.text }

// Type is what help calls the value.
func (m *applyMode) Type() string { return "mode" }

// Set reads the flag.
func (m *applyMode) Set(text string) (err error) {
	m.text = text
	m.mode, err = operate.ParseMode(text)
	return err
}

// applyOptions is how a machine config is to take effect.
type applyOptions struct {
	nodeOptions
	mode   applyMode
	dryRun bool
	tryFor time.Duration
}

func (o *applyOptions) add(flags *pflag.FlagSet) {
	o.mode = applyMode{text: "auto", mode: machine.ApplyConfigurationRequest_AUTO}
	flags.VarP(&o.mode, "mode", "m", "when the config takes effect: auto, no-reboot, reboot, staged (at the next boot) or try (and back again)")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only say what would change, and whether it takes a reboot")
	flags.DurationVar(&o.tryFor, "timeout", time.Minute, "after how long mode try takes the config back")
}

func (o *applyOptions) how() operate.Application {
	return operate.Application{Mode: o.mode.mode, DryRun: o.dryRun, TryFor: o.tryFor}
}

// print tells what the nodes made of the config: warnings, and in which mode they took it.
func (o *applyOptions) print(answers []operate.Applied) {
	for _, answer := range answers {
		for _, warning := range answer.Message.GetWarnings() {
			o.warn([]string{answer.Node + ": " + warning})
		}
		if details := strings.TrimSpace(answer.Message.GetModeDetails()); details != "" {
			fmt.Fprintf(o.stdout, "%s: %s\n", answer.Node, details)
		}
	}
}

type applyConfigOptions struct {
	applyOptions
	path         string
	patches      []string
	insecure     bool
	fingerprints []string
}

func newApplyConfig(a *app) *cobra.Command {
	options := &applyConfigOptions{applyOptions: applyOptions{nodeOptions: nodeOptions{app: a}}}
	cmd := &cobra.Command{
		Use:     "apply-config",
		Aliases: []string{"apply"},
		Short:   "Give nodes a machine config",
		Long: `Apply-config gives nodes a machine config, patched beforehand where patches are given. With --insecure it goes to nodes
in maintenance mode, which have none yet and boot on with it.`,
		Example: `  bronze apply-config -f worker.yaml -n 10.5.0.3 --dry-run
  bronze apply-config --insecure -f worker.yaml -n 10.5.0.4 --config-patch @site.yaml --config-patch @rack.yaml`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	options.add(flags)
	flags.StringVarP(&options.path, "file", "f", "", "machine config, - for stdin")
	flags.StringArrayVarP(&options.patches, "config-patch", "p", nil, "patch the config first: @file or the patch itself (repeatable)")
	flags.StringSliceVar(&options.fingerprints, "cert-fingerprint", nil, "with --insecure: the certificates to accept, as the node shows them (default any)")
	addInsecure(flags, &options.insecure)
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error {
		config, err := options.config(cmd)
		if err != nil {
			return err
		}
		return options.run(ctx, config)
	})
}

// config is the file with the patches applied.
func (o *applyConfigOptions) config(cmd *cobra.Command) ([]byte, error) {
	config, err := readConfig(cmd, o.path, "--file")
	if err != nil {
		return nil, err
	}
	patches, err := readPatchFiles(o.patches)
	if err != nil || len(patches) == 0 {
		return config, err
	}
	return machineconfig.Patch(config, patches)
}

func (o *applyConfigOptions) run(ctx context.Context, config []byte) error {
	apply := func(fleet *operate.Fleet) error {
		answers, err := fleet.Apply(ctx, config, o.how())
		o.print(answers)
		return err
	}
	if o.insecure {
		return o.onInsecure(o.fingerprints, apply)
	}
	return o.on(apply)
}

type patchOptions struct {
	applyOptions
	patches []string
	file    string
}

func newPatch(a *app) *cobra.Command {
	options := &patchOptions{applyOptions: applyOptions{nodeOptions: nodeOptions{app: a}}}
	cmd := &cobra.Command{
		Use:   "patch machineconfig",
		Short: "Patch the machine config of nodes",
		Long: `Patch applies strategic merge patches and JSON patches to each node's own machine config. The machine config is the only
resource that can be changed.`,
		Example: `  bronze patch machineconfig -n 10.5.0.3 -p '{"machine":{"nodeLabels":{"zone":"a"}}}'
  bronze patch mc --patch-file cluster.yaml --dry-run`,
		Args: cobra.RangeArgs(1, 2),
	}
	flags := cmd.Flags()
	options.add(flags)
	flags.StringArrayVarP(&options.patches, "patch", "p", nil, "@file or the patch itself (repeatable)")
	flags.StringVar(&options.file, "patch-file", "", "file with a patch")
	var namespace string
	flags.StringVar(&namespace, "namespace", "", "ignored, as there is one machine config")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, args []string) error {
		if err := onlyMachineConfig(args); err != nil {
			return misused(cmd, err)
		}
		return options.run(ctx, cmd)
	})
}

// onlyMachineConfig refuses resources that nobody can change.
func onlyMachineConfig(args []string) error {
	switch strings.ToLower(args[0]) {
	case "machineconfig", "machineconfigs", "mc", "mcs", "machineconfigs.config", "machineconfigs.config.talos", "machineconfigs.config.talos.dev":
	default:
		return fmt.Errorf("cannot patch %q: machineconfig is all that can be changed", args[0])
	}
	if len(args) > 1 && args[1] != "v1alpha1" {
		return fmt.Errorf("cannot patch machineconfig %q: the one that nodes run with is v1alpha1", args[1])
	}
	return nil
}

func (o *patchOptions) run(ctx context.Context, cmd *cobra.Command) error {
	asked := o.patches
	if o.file != "" {
		asked = append(asked, "@"+o.file)
	}
	patches, err := readPatchFiles(asked)
	if err != nil {
		return err
	}
	if len(patches) == 0 {
		return misused(cmd, errors.New("cannot patch without a patch: give one with --patch or --patch-file"))
	}
	return o.on(func(fleet *operate.Fleet) error {
		answers, err := fleet.PatchConfig(ctx, patches, o.how())
		for _, answer := range answers {
			if !o.dryRun {
				fmt.Fprintf(o.stdout, "patched MachineConfigs.config.talos.dev/v1alpha1 at the node %s\n", answer.Node)
			}
		}
		o.print(answers)
		return err
	})
}
