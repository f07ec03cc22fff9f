package docker

import (
	"context"
	"errors"
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

// errMaking: the engine is making such a network now, perhaps for a create that died.
var errMaking = errors.New("perhaps one that is being made")

const (
	// mtuOption is the bridge driver's.
	mtuOption = "com.docker.network.driver.mtu"
	// networkAttempts bounds the waiting for a network that is being made, which takes the engine 0.1 s.
	networkAttempts = 40
)

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
	var err error
	for range networkAttempts {
		err = p.makeNetwork(ctx, cluster)
		if !errors.Is(err, errMaking) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return err
}

func (p *Provider) makeNetwork(ctx context.Context, cluster provision.Cluster) error {
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
			return use.taken(wanted.Subnet)
		}
	}
	_, err = p.engine.NetworkCreate(ctx, wanted.Name, networkOf(cluster))
	if err != nil && strings.Contains(err.Error(), "overlaps") {
		return subnetUse{by: "a network that the engine does not show", making: true}.taken(wanted.Subnet)
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

// taken is the error of who wants the subnet too.
func (u subnetUse) taken(subnet netip.Prefix) error {
	err := fmt.Errorf("cannot use subnet %s: %w by %s", subnet, provision.ErrSubnetTaken, u.by)
	if u.making {
		err = fmt.Errorf("%w (%w)", err, errMaking)
	}
	return provision.WithHint(err, "leave --subnet out, and a free one is chosen")
}

// subnetUse is one subnet and who has it.
type subnetUse struct {
	subnet netip.Prefix
	by     string
	// network and labels are of the engine's network; empty where the host has the subnet.
	network string
	labels  map[string]string
	// making is true for what looks like a bridge of a network that the engine does not list yet.
	making bool
}

// TakenSubnets lists the engine's networks, the cluster's own left out, and, where the engine is on this host, what the
// host's interfaces and routes lead to.
func (p *Provider) TakenSubnets(ctx context.Context, cluster string) ([]netip.Prefix, error) {
	uses, err := p.settledUses(ctx)
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

// settledUses waits for networks that the engine is just making. One of them may be the cluster's own, begun by a create
// that died: taken for a stranger's it would drive the next create to another subnet, and the cluster had two networks
// of one name. A bridge that never becomes a network is a stranger's indeed.
func (p *Provider) settledUses(ctx context.Context) ([]subnetUse, error) {
	for attempt := 1; ; attempt++ {
		uses, err := p.subnetUses(ctx)
		if err != nil || attempt == networkAttempts || !anyMaking(uses) {
			return uses, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// anyMaking tells whether a bridge has a subnet that no listed network has.
func anyMaking(uses []subnetUse) bool {
	return slices.ContainsFunc(uses, func(bridge subnetUse) bool {
		return bridge.making && !slices.ContainsFunc(uses, func(listed subnetUse) bool {
			return listed.network != "" && listed.subnet == bridge.subnet
		})
	})
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

// isBridge tells by the name, "br-" and half of a network's ID, whether the engine made the interface.
func isBridge(link string) bool {
	id, found := strings.CutPrefix(link, "br-")
	return found && len(id) == 12 && strings.Trim(id, "0123456789abcdef") == ""
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
				uses = append(uses, subnetUse{subnet: prefix.Masked(), by: "interface " + link.Name, making: isBridge(link.Name)})
			}
		}
	}
	return uses, nil
}
