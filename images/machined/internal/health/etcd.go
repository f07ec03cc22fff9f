package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

func etcdHealthy(ctx context.Context, c *checked) error {
	return c.each(ctx, c.controlPlanes(), serviceHealthy("etcd"))
}

// etcdConsistent wants one list of members from all control planes.
func etcdConsistent(ctx context.Context, c *checked) error {
	var lists collected[string]

	err := c.each(ctx, c.controlPlanes(), func(ctx context.Context, p peer) error {
		members, err := etcdMembers(ctx, p)
		if err != nil {
			return err
		}

		var texts []string
		for _, member := range members {
			texts = append(texts, fmt.Sprintf("%s (%016x, learner %t)", member.GetHostname(), member.GetId(), member.GetIsLearner()))
		}

		slices.Sort(texts)
		lists.add(p.node, strings.Join(texts, ", "))

		return nil
	})
	if err != nil {
		return err
	}

	first := c.controlPlanes()[0].address()
	for _, address := range addressesOf(c.controlPlanes()) {
		if lists.all[address] != lists.all[first] {
			return fmt.Errorf("%s knows the members %s, and %s knows %s", first, lists.all[first], address, lists.all[address])
		}
	}

	return nil
}

// etcdOnControlPlanes wants each member at an address of a control plane.
func etcdOnControlPlanes(ctx context.Context, c *checked) error {
	var known []netip.Addr
	for _, node := range c.controlPlanes() {
		known = append(known, node.Addresses...)
	}

	return c.each(ctx, c.controlPlanes()[:1], func(ctx context.Context, p peer) error {
		members, err := etcdMembers(ctx, p)
		if err != nil {
			return err
		}

		for _, member := range members {
			for _, peer := range member.GetPeerUrls() {
				if !slices.Contains(known, hostOf(peer)) {
					return fmt.Errorf("member %s is at %s, which no control plane is", member.GetHostname(), peer)
				}
			}
		}

		return nil
	})
}

func etcdMembers(ctx context.Context, p peer) ([]*machine.EtcdMember, error) {
	answer, err := p.EtcdMemberList(ctx, &machine.EtcdMemberListRequest{})
	if err != nil {
		return nil, err
	}

	if len(answer.GetMessages()) == 0 || len(answer.GetMessages()[0].GetMembers()) == 0 {
		return nil, errors.New("etcd has no members")
	}

	return answer.GetMessages()[0].GetMembers(), nil
}

// hostOf is the zero address where the URL holds none.
func hostOf(text string) netip.Addr {
	parsed, err := url.Parse(text)
	if err != nil {
		return netip.Addr{}
	}

	address, _ := netip.ParseAddr(parsed.Hostname())

	return address
}
