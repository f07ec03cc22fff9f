package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision/operate"
)

// endOptions is what reboot, shutdown and reset share: whether to wait for what they set off.
type endOptions struct {
	nodeOptions
	wait     bool
	patience time.Duration
}

func (o *endOptions) add(flags *pflag.FlagSet) {
	flags.BoolVar(&o.wait, "wait", true, "wait until it is done")
	flags.DurationVar(&o.patience, "timeout", 30*time.Minute, "how long to wait")
}

// act gives the order and waits for what comes of it: that the nodes run again, or that they are down.
func (o *endOptions) act(ctx context.Context, fleet *operate.Fleet, comesBack bool, order func() error) error {
	if !o.wait {
		return order()
	}
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	before, err := fleet.Boots(ctx)
	if err != nil {
		return err
	}
	if err := order(); err != nil {
		return err
	}
	told := o.waiting()
	if comesBack {
		return fleet.AwaitBoot(ctx, before, told)
	}
	return fleet.AwaitDown(ctx, told)
}

// waiting prints each node's new reasons. Nodes are waited for side by side.
func (o *endOptions) waiting() func(node, why string) {
	var mutex sync.Mutex
	last := map[string]string{}
	return func(node, why string) {
		mutex.Lock()
		defer mutex.Unlock()
		if last[node] == why {
			return
		}
		last[node] = why
		fmt.Fprintf(o.stderr, "%s: %s\n", node, why)
	}
}

func newReboot(a *app) *cobra.Command {
	options := &endOptions{nodeOptions: nodeOptions{app: a}}
	modes := map[string]machine.RebootRequest_Mode{
		"default": machine.RebootRequest_DEFAULT, "powercycle": machine.RebootRequest_POWERCYCLE, "force": machine.RebootRequest_FORCE,
	}
	var mode string
	cmd := &cobra.Command{
		Use: "reboot", Short: "Reboot nodes, and wait until they run again", Args: cobra.NoArgs,
		Example: `  bronze reboot -n 10.5.0.3`,
	}
	options.add(cmd.Flags())
	cmd.Flags().StringVarP(&mode, "mode", "m", "default", "how: default, powercycle or force (without moving workloads away first)")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error {
		asked, known := modes[mode]
		if !known {
			return misused(cmd, fmt.Errorf("cannot reboot in mode %q: want default, powercycle or force", mode))
		}
		return options.on(func(fleet *operate.Fleet) error {
			return options.act(ctx, fleet, true, func() error { return fleet.Reboot(ctx, asked) })
		})
	})
}

func newShutdown(a *app) *cobra.Command {
	options := &endOptions{nodeOptions: nodeOptions{app: a}}
	var force bool
	cmd := &cobra.Command{
		Use: "shutdown", Short: "Shut nodes down, and wait until they are", Args: cobra.NoArgs,
		Example: `  bronze shutdown -n 10.5.0.3`,
	}
	options.add(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "do not move workloads away first")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error {
		return options.on(func(fleet *operate.Fleet) error {
			return options.act(ctx, fleet, false, func() error { return fleet.Shutdown(ctx, force) })
		})
	})
}

type resetOptions struct {
	endOptions
	graceful, reboot, insecure bool
	mode                       string
	labels, disks              []string
}

func newReset(a *app) *cobra.Command {
	options := &resetOptions{endOptions: endOptions{nodeOptions: nodeOptions{app: a}}}
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Take the data of nodes away, and wait until they are down or run again",
		Long: `Reset makes nodes leave the cluster and takes their data away. By default that is all of it; --system-labels-to-wipe
limits it to STATE, which holds identity and machine config, or EPHEMERAL, which holds all else.`,
		Example: `  bronze reset -n 10.5.0.3
  bronze reset -n 10.5.0.3 --system-labels-to-wipe EPHEMERAL --reboot --graceful=false`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	options.add(flags)
	flags.BoolVar(&options.graceful, "graceful", true, "move workloads away and leave etcd first")
	flags.BoolVar(&options.reboot, "reboot", false, "reboot the node afterwards, instead of shutting it down")
	flags.StringVar(&options.mode, "wipe-mode", "all", "what to wipe: all, system-disk or user-disks")
	flags.StringSliceVar(&options.labels, "system-labels-to-wipe", nil, "wipe only these: STATE, EPHEMERAL")
	flags.StringSliceVar(&options.disks, "user-disks-to-wipe", nil, "wipe these devices")
	flags.BoolVar(&options.insecure, "insecure", false, "ask nodes without a machine config, which ask for no certificate")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error {
		request, err := options.request()
		if err != nil {
			return misused(cmd, err)
		}
		return options.reach(options.insecure, func(fleet *operate.Fleet) error {
			return options.act(ctx, fleet, options.reboot, func() error { return fleet.Reset(ctx, request) })
		})
	})
}

func (o *resetOptions) request() (*machine.ResetRequest, error) {
	modes := map[string]machine.ResetRequest_WipeMode{
		"all": machine.ResetRequest_ALL, "system-disk": machine.ResetRequest_SYSTEM_DISK, "user-disks": machine.ResetRequest_USER_DISKS,
	}
	mode, known := modes[o.mode]
	if !known {
		return nil, fmt.Errorf("cannot wipe %q: want all, system-disk or user-disks", o.mode)
	}
	request := &machine.ResetRequest{Graceful: o.graceful, Reboot: o.reboot, Mode: mode, UserDisksToWipe: o.disks}
	for _, label := range o.labels {
		if !slices.Contains([]string{"STATE", "EPHEMERAL", "META"}, strings.ToUpper(label)) {
			return nil, fmt.Errorf("cannot wipe %q: want STATE or EPHEMERAL", label)
		}
		request.SystemPartitionsToWipe = append(request.SystemPartitionsToWipe,
			&machine.ResetPartitionSpec{Label: strings.ToUpper(label), Wipe: true})
	}
	return request, nil
}
