package machineapi

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestInterviewTellsWhatTheNodeKnows(t *testing.T) {
	heard := []picture.Affiliate{
		{NodeID: "a", Nodename: "a", Hostname: "a", Role: provision.Worker, Addresses: []netip.Addr{netip.MustParseAddr("10.5.0.2")}},
		{NodeID: "b", Nodename: "b", Hostname: "b", Role: provision.Worker, Addresses: []netip.Addr{netip.MustParseAddr("10.5.0.3")}},
	}
	members := []*machineapi.EtcdMember{
		{Id: 9, Hostname: "a", PeerUrls: []string{"https://10.5.0.2:2380"}},
		{Id: 7, PeerUrls: []string{"https://[fd00::3]:2380"}, IsLearner: true},
	}
	listed := []picture.EtcdMember{{ID: 7, IP: netip.MustParseAddr("fd00::3"), Learner: true}, {ID: 9, Name: "a", IP: netip.MustParseAddr("10.5.0.2")}}
	noSpace := []*machineapi.EtcdMemberAlarm{
		{MemberId: 9, Alarm: machineapi.EtcdMemberAlarm_NOSPACE}, {MemberId: 7, Alarm: machineapi.EtcdMemberAlarm_NOSPACE},
	}
	for name, test := range map[string]struct {
		member fakeMember
		role   provision.Role
		want   picture.Interview
	}{
		"a control plane": {
			fakeMember{members: members, status: &machineapi.EtcdMemberStatus{MemberId: 9, Leader: 9}, alarms: noSpace}, provision.ControlPlane,
			picture.Interview{Etcd: &picture.EtcdAnswer{Self: 9, Leader: 9, Members: listed}},
		},
		"one with an alarm": {
			fakeMember{members: members, status: &machineapi.EtcdMemberStatus{MemberId: 9, Leader: 9, Errors: []string{"alarm"}}, alarms: noSpace}, provision.ControlPlane,
			picture.Interview{Etcd: &picture.EtcdAnswer{Self: 9, Leader: 9, Members: listed, Alarms: []string{"NOSPACE"}}},
		},
		"one that nobody leads": {
			fakeMember{members: members, status: &machineapi.EtcdMemberStatus{MemberId: 9, Errors: []string{"no leader"}}}, provision.ControlPlane,
			picture.Interview{Etcd: &picture.EtcdAnswer{Self: 9, Members: listed}},
		},
		"one whose etcd is mute": {
			fakeMember{mute: true}, provision.ControlPlane, picture.Interview{EtcdError: "machine API: asking etcd: no leader"},
		},
		"a worker is not asked of etcd":                   {fakeMember{mute: true}, provision.Worker, picture.Interview{}},
		"one of no known role that says that it is none":  {fakeMember{worker: true}, "", picture.Interview{}},
		"one that should be a control plane and is none":  {fakeMember{worker: true}, provision.ControlPlane, picture.Interview{EtcdError: "machine API: this is a worker"}},
		"one of no known role that is one":                {fakeMember{status: &machineapi.EtcdMemberStatus{MemberId: 3, Leader: 3}}, "", picture.Interview{Etcd: &picture.EtcdAnswer{Self: 3, Leader: 3}}},
		"one of no known role whose etcd does not answer": {fakeMember{mute: true}, "", picture.Interview{EtcdError: "machine API: asking etcd: no leader"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.member.resources = newResources(t, "b")
			client, node := openMember(t, test.member)
			node.Role = test.role
			test.want.NodeID, test.want.Affiliates, test.want.Members = "a", heard, []string{"a", "b"}
			got := client.Interview(t.Context(), node)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInterviewOfANodeThatLeavesSomethingOutIsAnError(t *testing.T) {
	client, node := openMember(t, fakeMember{})
	got := client.Interview(t.Context(), node)
	if got.Error == "" || got.NodeID != "" || got.Affiliates != nil {
		t.Errorf("interview %+v", got)
	}
}

func TestInterviewEndsWithItsTime(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	t.Cleanup(func() { listener.Close() })
	cluster := testCluster()
	client := open(t, cluster, newSecrets(t, cluster), listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := client.Interview(ctx, cluster.Founder()); got.Error == "" {
		t.Errorf("a node that takes calls and answers none: %+v", got)
	}
}

// openMember runs a node and answers a client of it.
func openMember(t *testing.T, member fakeMember) (*Client, provision.Node) {
	t.Helper()
	cluster := testCluster()
	bundle := newSecrets(t, cluster)
	listener := listen(t, "127.0.0.1:0")
	serve(t, bundle, listener, &fakeNode{fakeMember: member})
	return open(t, cluster, bundle, listener.Addr().String()), cluster.Founder()
}

func TestErrorsOfNodesThatAnswerAreWhole(t *testing.T) {
	client, node := openMember(t, fakeMember{mute: true})
	err := client.RemoveMember(t.Context(), node, 1)
	if err == nil || !strings.HasSuffix(err.Error(), "asking etcd: no leader") {
		t.Errorf("error %v", err)
	}
}
