package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/operate"
)

type pcapOptions struct {
	nodeOptions
	request machine.PacketCaptureRequest
	filter  string
	output  string
	limit   time.Duration
}

func newPcap(a *app) *cobra.Command {
	options := &pcapOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:     "pcap",
		Aliases: []string{"tcpdump"},
		Short:   "Capture packets on a node, in the form of pcap",
		Example: `  bronze pcap -i eth0 -o - | tcpdump -r -
  bronze pcap -i eth0 -o eth0.pcap --duration 10s --bpf-filter "$(tcpdump -dd -y EN10MB 'not port 50000')"`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVarP(&options.request.Interface, "interface", "i", "eth0", "network interface")
	flags.BoolVar(&options.request.Promiscuous, "promiscuous", false, "take packets for others too")
	flags.StringVar(&options.filter, "bpf-filter", "", "packets to take, as tcpdump -dd compiles it")
	flags.DurationVar(&options.limit, "duration", 0, "how long (default until it is interrupted)")
	flags.StringVarP(&options.output, "output", "o", "", "file to write, - for stdout")
	return nodeCommand(&options.nodeOptions, cmd, func(ctx context.Context, _ []string) error { return options.run(ctx) })
}

func (o *pcapOptions) run(ctx context.Context) (err error) {
	// As much of each packet as talosctl asks for.
	const wholePackets = 4096
	o.request.SnapLen = wholePackets
	if o.request.BpfFilter, err = operate.ParseFilter(o.filter); err != nil {
		return err
	}
	w := o.stdout
	switch o.output {
	case "-":
	case "":
		err := usageError{errors.New("cannot decode packets: want a file, or - for stdout, with --output")}
		return provision.WithHint(err, "bronze pcap -o - | tcpdump -r - decodes them")
	default:
		file, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, madeMode)
		if err != nil {
			return fmt.Errorf("cannot write packets: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	return o.on(func(fleet *operate.Fleet) error { return fleet.Capture(ctx, &o.request, o.limit, w) })
}
