package machineapi

import (
	"context"
	"net/netip"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// fakeMember is the node's part in etcd and in discovery.
type fakeMember struct {
	machineapi.UnimplementedMachineServiceServer
	// worker has the node answer that it is one.
	worker bool
	// mute has etcd answer nothing.
	mute    bool
	members []*machineapi.EtcdMember
	status  *machineapi.EtcdMemberStatus
	alarms  []*machineapi.EtcdMemberAlarm
	// snapshot is sent in pieces of a few bytes.
	snapshot []byte
	// resources are the node's COSI state; nil where it serves none.
	resources state.State
}

func (m *fakeMember) refusal() error {
	switch {
	case m.worker:
		return status.Error(codes.FailedPrecondition, "this is a worker")
	case m.mute:
		return status.Error(codes.Unavailable, "asking etcd: no leader")
	default:
		return nil
	}
}

func (m *fakeMember) EtcdMemberList(_ context.Context, request *machineapi.EtcdMemberListRequest) (*machineapi.EtcdMemberListResponse, error) {
	if err := m.refusal(); err != nil {
		return nil, err
	}
	if !request.GetQueryLocal() {
		return nil, status.Error(codes.Unavailable, "asking etcd: no quorum")
	}
	return &machineapi.EtcdMemberListResponse{Messages: []*machineapi.EtcdMembers{{Members: m.members}}}, nil
}

func (m *fakeMember) EtcdStatus(context.Context, *emptypb.Empty) (*machineapi.EtcdStatusResponse, error) {
	if err := m.refusal(); err != nil {
		return nil, err
	}
	return &machineapi.EtcdStatusResponse{Messages: []*machineapi.EtcdStatus{{MemberStatus: m.status}}}, nil
}

// EtcdAlarmList takes a leader, as etcd writes the question to its log.
func (m *fakeMember) EtcdAlarmList(context.Context, *emptypb.Empty) (*machineapi.EtcdAlarmListResponse, error) {
	if m.status.GetLeader() == 0 {
		return nil, status.Error(codes.Unavailable, "asking etcd: no leader")
	}
	return &machineapi.EtcdAlarmListResponse{Messages: []*machineapi.EtcdAlarm{{MemberAlarms: m.alarms}}}, nil
}

func (m *fakeMember) EtcdRemoveMemberByID(_ context.Context, request *machineapi.EtcdRemoveMemberByIDRequest) (*machineapi.EtcdRemoveMemberByIDResponse, error) {
	if err := m.refusal(); err != nil {
		return nil, err
	}
	for i, member := range m.members {
		if member.GetId() == request.GetMemberId() {
			m.members = append(m.members[:i:i], m.members[i+1:]...)
			return &machineapi.EtcdRemoveMemberByIDResponse{Messages: []*machineapi.EtcdRemoveMemberByID{{}}}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "asking etcd: etcdserver: member not found")
}

func (m *fakeMember) EtcdSnapshot(_ *machineapi.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	const piece = 7
	for rest := m.snapshot; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
		if err := stream.Send(&common.Data{Bytes: rest[:min(piece, len(rest))]}); err != nil {
			return err
		}
	}
	return nil
}

// newResources are those of a node that is called a and has heard of others; each has its name for its node ID.
func newResources(t *testing.T, others ...string) state.State {
	t.Helper()
	const self = "a"
	st := state.WrapCore(namespaced.NewState(inmem.Build))
	identity := cluster.NewIdentity(cluster.NamespaceName, cluster.LocalIdentity)
	identity.TypedSpec().NodeID = self
	create(t, st, identity)
	for i, name := range append([]string{self}, others...) {
		one := cluster.NewAffiliate(cluster.NamespaceName, name)
		*one.TypedSpec() = cluster.AffiliateSpec{
			NodeID: name, Nodename: name, Hostname: name, MachineType: machine.TypeWorker,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 5, 0, byte(2 + i)})},
		}
		create(t, st, one)
		create(t, st, cluster.NewMember(cluster.NamespaceName, name))
	}
	return st
}

func create(t *testing.T, st state.State, one resource.Resource) {
	t.Helper()
	must(t, st.Create(t.Context(), one))
}
