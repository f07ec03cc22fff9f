package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/provision"
)

// mtuOption is the bridge driver's.
const mtuOption = "com.docker.network.driver.mtu"

func networkOf(cluster provision.Cluster) client.NetworkCreateOptions {
	return client.NetworkCreateOptions{
		Driver: "bridge",
		IPAM: &network.IPAM{Config: []network.IPAMConfig{{
			Subnet:  cluster.Network.Subnet,
			Gateway: cluster.Network.Gateway(),
		}}},
		Options: map[string]string{mtuOption: strconv.Itoa(cluster.Network.MTU)},
		Labels:  clusterLabels(cluster.Name),
	}
}

// CreateNetwork makes the bridge network, or takes the one of ours that has the same subnet.
func (p *Provider) CreateNetwork(ctx context.Context, cluster provision.Cluster) error {
	uses, err := p.subnetUses(ctx)
	if err != nil {
		return err
	}
	wanted := cluster.Network
	for _, use := range uses {
		if use.network == wanted.Name {
			return checkNetwork(use, cluster)
		}
	}
	for _, use := range uses {
		if use.subnet.Overlaps(wanted.Subnet) {
			return taken(wanted.Subnet, use.by)
		}
	}
	_, err = p.engine.NetworkCreate(ctx, wanted.Name, networkOf(cluster))
	if err != nil && strings.Contains(err.Error(), "overlaps") {
		return taken(wanted.Subnet, "a network that was made just now")
	}
	if err != nil {
		return fmt.Errorf("cannot make network: %w", err)
	}
	return nil
}

// checkNetwork tells whether a network of the wanted name will do.
func checkNetwork(use subnetUse, cluster provision.Cluster) error {
	if !ours(use.labels, cluster.Name) {
		return clash("network", use.network)
	}
	if use.subnet != cluster.Network.Subnet {
		return fmt.Errorf("cannot use network %q: it has subnet %s, not %s: %w",
			use.network, use.subnet, cluster.Network.Subnet, provision.ErrClash)
	}
	return nil
}

func taken(subnet netip.Prefix, by string) error {
	err := fmt.Errorf("cannot use subnet %s: %w by %s", subnet, provision.ErrSubnetTaken, by)
	return provision.WithHint(err, "leave --subnet out, and a free one is chosen")
}

// subnetUse is one subnet and who has it.
type subnetUse struct {
	subnet netip.Prefix
	by     string
	// network and labels are of the engine's network; empty where the host has the subnet.
	network string
	labels  map[string]string
}

// TakenSubnets lists the engine's networks, the cluster's own left out, and, where the engine is on this host, what the
// host's interfaces and routes lead to.
func (p *Provider) TakenSubnets(ctx context.Context, cluster string) ([]netip.Prefix, error) {
	uses, err := p.subnetUses(ctx)
	if err != nil {
		return nil, err
	}
	var own, subnets []netip.Prefix
	for _, use := range uses {
		if use.network != "" && ours(use.labels, cluster) {
			own = append(own, use.subnet)
		}
	}
	for _, use := range uses {
		if !slices.Contains(own, use.subnet) {
			subnets = append(subnets, use.subnet)
		}
	}
	return subnets, nil
}

func (p *Provider) subnetUses(ctx context.Context) ([]subnetUse, error) {
	listed, err := p.engine.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, p.unreachable(err)
	}
	var uses []subnetUse
	for _, found := range listed.Items {
		for _, config := range found.IPAM.Config {
			uses = append(uses, subnetUse{
				subnet: config.Subnet.Masked(), by: fmt.Sprintf("docker network %q", found.Name),
				network: found.Name, labels: found.Labels,
			})
		}
	}
	info, err := p.info(ctx)
	if err != nil || !p.local(info) {
		return uses, err
	}
	host, err := interfaceUses()
	return append(append(uses, host...), routeUses()...), err
}

func interfaceUses() ([]subnetUse, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the host's interfaces: %w", err)
	}
	var uses []subnetUse
	for _, link := range interfaces {
		addresses, err := link.Addrs()
		if err != nil {
			return nil, fmt.Errorf("cannot list the addresses of %s: %w", link.Name, err)
		}
		for _, address := range addresses {
			prefix, err := netip.ParsePrefix(address.String())
			if err == nil && prefix.Addr().Is4() {
				uses = append(uses, subnetUse{subnet: prefix.Masked(), by: "interface " + link.Name})
			}
		}
	}
	return uses, nil
}
