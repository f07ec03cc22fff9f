package operatetest

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// MemberID is the control plane's member of etcd.
const MemberID = 0xaf13

// controlPlane refuses calls that are for a worker.
func (s *machineServer) controlPlane(ctx context.Context) (*Node, error) {
	n, err := s.nodes.route(ctx)
	if err == nil && n.address != ControlPlane {
		return nil, status.Error(codes.FailedPrecondition, "a worker runs no etcd: ask a control plane")
	}
	return n, err
}

func (s *machineServer) Bootstrap(ctx context.Context, request *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	n, err := s.controlPlane(ctx)
	if err != nil {
		return nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	switch {
	case n.founded:
		return nil, status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	case request.GetRecoverEtcd() && len(n.uploaded) == 0:
		return nil, status.Error(codes.FailedPrecondition, "no snapshot was uploaded")
	}
	n.founded = true
	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{}}}, nil
}

func (s *machineServer) EtcdRecover(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]) error {
	n, err := s.controlPlane(stream.Context())
	if err != nil {
		return err
	}
	for {
		data, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&machine.EtcdRecoverResponse{Messages: []*machine.EtcdRecover{{}}})
		}
		if err != nil {
			return err
		}
		n.mutex.Lock()
		n.uploaded = append(n.uploaded, data.GetBytes()...)
		n.mutex.Unlock()
	}
}

func (s *machineServer) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if _, err := s.controlPlane(stream.Context()); err != nil {
		return err
	}
	for _, piece := range slices.Collect(slices.Chunk(snapshot(), 1000)) {
		if err := stream.Send(&common.Data{Bytes: piece}); err != nil {
			return err
		}
	}
	return nil
}

func (s *machineServer) EtcdMemberList(ctx context.Context, _ *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	if _, err := s.controlPlane(ctx); err != nil {
		return nil, err
	}
	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{{Members: []*machine.EtcdMember{{
		Id: MemberID, Hostname: "dev-controlplane-1", PeerUrls: []string{"https://" + ControlPlane + ":2380"},
		ClientUrls: []string{"https://" + ControlPlane + ":2379"},
	}}}}}, nil
}

func (s *machineServer) EtcdStatus(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	if _, err := s.controlPlane(ctx); err != nil {
		return nil, err
	}
	return &machine.EtcdStatusResponse{Messages: []*machine.EtcdStatus{{MemberStatus: &machine.EtcdMemberStatus{
		MemberId: MemberID, Leader: MemberID, DbSize: 2_000_000, DbSizeInUse: 500_000, RaftIndex: 7, RaftTerm: 2,
	}}}}, nil
}

func (s *machineServer) EtcdRemoveMemberByID(
	ctx context.Context, request *machine.EtcdRemoveMemberByIDRequest,
) (*machine.EtcdRemoveMemberByIDResponse, error) {
	if _, err := s.controlPlane(ctx); err != nil {
		return nil, err
	}
	if request.GetMemberId() != MemberID {
		return nil, status.Error(codes.NotFound, "etcdserver: member not found")
	}
	return &machine.EtcdRemoveMemberByIDResponse{Messages: []*machine.EtcdRemoveMemberByID{{}}}, nil
}
