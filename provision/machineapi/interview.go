package machineapi

import (
	"cmp"
	"context"
	"net/netip"
	"net/url"
	"slices"
	"sync"

	"github.com/cosi-project/runtime/pkg/safe"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Interview asks a node who it is, whom it has heard of, and, unless it is a worker, what its etcd says; all of it side by
// side. It answers within ctx. A node of which one of the first two is not known is one that says nothing: what it left
// out would look as if it were gone.
func (c *Client) Interview(ctx context.Context, node provision.Node) picture.Interview {
	ctx = c.to(ctx, node)
	var (
		asked               sync.WaitGroup
		heard               discovered
		heardErr, memberErr error
		answer              *picture.EtcdAnswer
	)
	asked.Go(func() { heard, heardErr = c.discovered(ctx) })
	if node.Role != provision.Worker {
		asked.Go(func() { answer, memberErr = c.etcd(ctx) })
	}
	asked.Wait()
	interview := picture.Interview{
		NodeID: heard.self, Affiliates: heard.affiliates, Members: heard.members,
		Etcd: answer, Error: words(heardErr),
	}
	// A node whose role is not known says so itself where it is a worker.
	if node.Role == provision.ControlPlane || client.StatusCode(memberErr) != codes.FailedPrecondition {
		interview.EtcdError = words(memberErr)
	}
	return interview
}

// words are those of an error, none where there is none.
func words(err error) string {
	if err == nil {
		return ""
	}
	return explain(err).Error()
}

// discovered is what a node knows by discovery.
type discovered struct {
	self       string
	affiliates []picture.Affiliate
	members    []string
}

func (c *Client) discovered(ctx context.Context) (discovered, error) {
	var (
		asked      sync.WaitGroup
		identity   *cluster.Identity
		affiliates safe.List[*cluster.Affiliate]
		members    safe.List[*cluster.Member]
		errs       [3]error
	)
	asked.Go(func() {
		identity, errs[0] = safe.StateGetByID[*cluster.Identity](ctx, c.client.COSI, cluster.LocalIdentity)
	})
	asked.Go(func() { affiliates, errs[1] = safe.StateListAll[*cluster.Affiliate](ctx, c.client.COSI) })
	asked.Go(func() { members, errs[2] = safe.StateListAll[*cluster.Member](ctx, c.client.COSI) })
	asked.Wait()
	if err := cmp.Or(errs[0], errs[1], errs[2]); err != nil {
		return discovered{}, err
	}
	heard := discovered{self: identity.TypedSpec().NodeID}
	for one := range affiliates.All() {
		heard.affiliates = append(heard.affiliates, affiliate(one.TypedSpec()))
	}
	for one := range members.All() {
		heard.members = append(heard.members, one.Metadata().ID())
	}
	return heard, nil
}

func affiliate(spec *cluster.AffiliateSpec) picture.Affiliate {
	role := provision.Worker
	switch {
	case spec.MachineType.IsControlPlane():
		role = provision.ControlPlane
	case spec.MachineType == machine.TypeUnknown:
		role = ""
	}
	return picture.Affiliate{
		NodeID: spec.NodeID, Nodename: spec.Nodename, Hostname: spec.Hostname, Role: role, Addresses: spec.Addresses,
	}
}

// etcd asks a control plane for its member's state and its own copy of the list, which no quorum is needed for.
func (c *Client) etcd(ctx context.Context) (*picture.EtcdAnswer, error) {
	var (
		asked  sync.WaitGroup
		status *machineapi.EtcdStatusResponse
		list   *machineapi.EtcdMemberListResponse
		errs   [2]error
	)
	asked.Go(func() { status, errs[0] = c.client.EtcdStatus(ctx) })
	asked.Go(func() {
		list, errs[1] = c.client.EtcdMemberList(ctx, &machineapi.EtcdMemberListRequest{QueryLocal: true})
	})
	asked.Wait()
	if err := cmp.Or(errs[0], errs[1]); err != nil {
		return nil, err
	}
	answer := &picture.EtcdAnswer{Members: etcdMembers(list)}
	troubled := false
	for _, message := range status.GetMessages() {
		member := message.GetMemberStatus()
		answer.Self, answer.Leader, troubled = member.GetMemberId(), member.GetLeader(), len(member.GetErrors()) > 0
	}
	// The list of alarms comes by way of the leader and is written to each log, so that only who has one is asked.
	if !troubled || answer.Leader == 0 {
		return answer, nil
	}
	alarms, err := c.client.EtcdAlarmList(ctx)
	if err != nil {
		return nil, err
	}
	answer.Alarms = etcdAlarms(alarms)
	return answer, nil
}

// etcdMembers are sorted by ID.
func etcdMembers(response *machineapi.EtcdMemberListResponse) []picture.EtcdMember {
	var members []picture.EtcdMember
	for _, message := range response.GetMessages() {
		for _, member := range message.GetMembers() {
			members = append(members, picture.EtcdMember{
				ID: member.GetId(), Name: member.GetHostname(), IP: peerIP(member.GetPeerUrls()), Learner: member.GetIsLearner(),
			})
		}
	}
	slices.SortFunc(members, func(a, b picture.EtcdMember) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// peerIP is that of the first URL that has one; the zero Addr where none has.
func peerIP(urls []string) netip.Addr {
	for _, text := range urls {
		parsed, err := url.Parse(text)
		if err != nil {
			continue
		}
		if ip, err := netip.ParseAddr(parsed.Hostname()); err == nil {
			return ip
		}
	}
	return netip.Addr{}
}

// etcdAlarms are the kinds that are raised, each once.
func etcdAlarms(response *machineapi.EtcdAlarmListResponse) []string {
	var kinds []string
	for _, message := range response.GetMessages() {
		for _, alarm := range message.GetMemberAlarms() {
			kinds = append(kinds, alarm.GetAlarm().String())
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}
