package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
)

const (
	// resyncSeconds is how often flannel puts missing firewall rules back.
	resyncSeconds = 30
	// leasePause lies between two attempts to take the node's lease, which needs the Node and its pod CIDR.
	leasePause = 50 * time.Millisecond
)

// flanneldOptions are flanneld's flags under upstream's names, as far as a node needs them. Upstream's own main cannot
// be linked in: its init parses os.Args of whatever program runs, and it exits where there is no iptables binary,
// even in nftables mode.
type flanneldOptions struct {
	kubeconfig string
	netConf    string
	subnetFile string
	iface      string
}

func runFlanneld() int {
	var options flanneldOptions

	flags := flag.NewFlagSet("flanneld", flag.ContinueOnError)
	flags.StringVar(&options.kubeconfig, "kubeconfig-file", "", "kubeconfig of an identity that may watch all nodes and annotate this one")
	flags.StringVar(&options.netConf, "net-config-path", "", "network configuration, as in flannel's net-conf.json")
	flags.StringVar(&options.subnetFile, "subnet-file", "/run/flannel/subnet.env", "where the node's lease is written to")
	flags.StringVar(&options.iface, "iface", "", "interface that reaches the other nodes; empty takes the default route's")

	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	return report("flanneld", options.run(ctx))
}

// run blocks until ctx ends. NODE_NAME in the environment names the node.
func (o flanneldOptions) run(ctx context.Context) error {
	manager, err := kube.NewSubnetManager(ctx, "", o.kubeconfig, "flannel.alpha.coreos.com", o.netConf, false)
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}

	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.netConf, err)
	}

	var running sync.WaitGroup
	defer running.Wait()

	network, err := o.join(ctx, &running, manager, config)
	if err != nil {
		return err
	}

	if err := guardTraffic(ctx, config, network); err != nil {
		return err
	}

	lease := network.Lease()
	if err := manager.HandleSubnetFile(o.subnetFile, config, true, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		return fmt.Errorf("writing %s: %w", o.subnetFile, err)
	}

	running.Go(func() { network.Run(ctx) })

	return manager.CompleteLease(ctx, lease, &running)
}

// join takes the node's lease and registers it with the backend, again and again until the node has a pod CIDR.
func (o flanneldOptions) join(ctx context.Context, running *sync.WaitGroup, manager subnet.Manager, config *subnet.Config) (backend.Network, error) {
	family, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, fmt.Errorf("choosing the address family: %w", err)
	}

	external, err := ipmatch.LookupExtIface(o.iface, "", "", family, ipmatch.PublicIPOpts{})
	if err != nil {
		return nil, fmt.Errorf("looking for the interface that reaches other nodes: %w", err)
	}

	chosen, err := backend.NewManager(ctx, manager, external).GetBackend(config.BackendType)
	if err != nil {
		return nil, fmt.Errorf("choosing backend %q: %w", config.BackendType, err)
	}

	for {
		network, err := chosen.RegisterNetwork(ctx, running, config)
		if err == nil {
			return network, nil
		}

		fmt.Fprintf(os.Stderr, "waiting for this node's pod CIDR: %v\n", err)

		select {
		case <-time.After(leasePause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// guardTraffic keeps the firewall rules in place that masquerade what leaves the pod network and accept what is
// forwarded within it.
func guardTraffic(ctx context.Context, config *subnet.Config, network backend.Network) error {
	var rules nftables.NFTablesManager

	if err := rules.Init(ctx); err != nil {
		return fmt.Errorf("preparing nftables: %w", err)
	}

	// There is no lease of an earlier run to clean up after: the rules live in the node's network namespace, which
	// ends with the node.
	if err := rules.SetupAndEnsureMasqRules(ctx, config.Network, ip.IP4Net{}, ip.IP4Net{},
		config.IPv6Network, ip.IP6Net{}, ip.IP6Net{}, network.Lease(), resyncSeconds, false); err != nil {
		return fmt.Errorf("writing masquerade rules: %w", err)
	}

	rules.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resyncSeconds)

	return nil
}
