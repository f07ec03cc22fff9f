package kubernetes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// podPrefix is the length of one node's part of the pod network, Kubernetes' own default for IPv4.
const podPrefix = 24

// Nodes gives every Node a pod network as soon as it appears. The controller manager does so as well, but only 1.5 s
// later, after its caches have filled.
type Nodes struct {
	API *kubeapi.Client
	// PodCIDR is the cluster's pod network.
	PodCIDR netip.Prefix

	// taken maps the pod networks given so far to their nodes.
	taken map[netip.Prefix]string
}

// Run blocks until ctx ends.
func (n *Nodes) Run(ctx context.Context) error {
	n.taken = map[netip.Prefix]string{}

	return n.API.Watch(ctx, "/api/v1/nodes", n.handle)
}

func (n *Nodes) handle(ctx context.Context, object kubeapi.Object) error {
	patch := map[string]any{}

	if err := n.network(object, patch); err != nil {
		return err
	}

	if len(patch) == 0 {
		return nil
	}

	return n.API.Do(ctx, kubeapi.Request{
		Method:      http.MethodPatch,
		Path:        "/api/v1/nodes/" + url.PathEscape(object.Name()),
		Body:        patch,
		ContentType: "application/strategic-merge-patch+json",
	}, nil)
}

// network notes the Node's pod network, or chooses one.
func (n *Nodes) network(object kubeapi.Object, patch map[string]any) error {
	if given, err := netip.ParsePrefix(object.Text("spec", "podCIDR")); err == nil {
		n.taken[given] = object.Name()
		return nil
	}

	chosen, err := n.choose(object.Name(), internalIP(object))
	if err != nil {
		return err
	}

	n.taken[chosen] = object.Name()
	patch["spec"] = map[string]any{"podCIDR": chosen.String(), "podCIDRs": []string{chosen.String()}}

	return nil
}

// choose derives the network from the node's address, so that two control planes that see a new Node at once choose the
// same for it and different ones for two Nodes; where that is taken, the next free one follows.
func (n *Nodes) choose(name string, ip netip.Addr) (netip.Prefix, error) {
	if !ip.Is4() || !n.PodCIDR.Addr().Is4() || n.PodCIDR.Bits() > podPrefix {
		return netip.Prefix{}, fmt.Errorf("cannot choose a pod network out of %s for node %q with address %s", n.PodCIDR, name, ip)
	}

	base := binary.BigEndian.Uint32(n.PodCIDR.Masked().Addr().AsSlice())
	count := uint32(1) << (podPrefix - n.PodCIDR.Bits())
	first := binary.BigEndian.Uint32(ip.AsSlice()) % count

	for i := range count {
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], base+(first+i)%count<<(32-podPrefix))

		candidate := netip.PrefixFrom(netip.AddrFrom4(address), podPrefix)
		if owner, ok := n.taken[candidate]; !ok || owner == name {
			return candidate, nil
		}
	}

	return netip.Prefix{}, errors.New("the pod network has no part left for another node")
}

func internalIP(object kubeapi.Object) netip.Addr {
	for _, entry := range object.List("status", "addresses") {
		if entry.Text("type") == "InternalIP" {
			ip, _ := netip.ParseAddr(entry.Text("address"))
			return ip
		}
	}

	return netip.Addr{}
}
