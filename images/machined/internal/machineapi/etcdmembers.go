package machineapi

import (
	"context"
	"io"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// EtcdMember is the node's own member of etcd, for calls that do more than ask it. Errors with a gRPC status keep it.
type EtcdMember interface {
	// LeaveEtcd takes the member out of the cluster, for good.
	LeaveEtcd(ctx context.Context) error
	// ForfeitLeadership has another member lead, and answers which: nothing where this one does not lead.
	ForfeitLeadership(ctx context.Context) (successor string, err error)
	// UploadSnapshot keeps a snapshot for Sequencer.Bootstrap.
	UploadSnapshot(snapshot io.Reader) error
}

var errNoEtcd = status.Error(codes.FailedPrecondition, "only control planes run etcd; name one of them")

// EtcdRemoveMemberByID is part of machine.MachineServiceServer. etcd refuses where the rest would have no quorum.
func (s *server) EtcdRemoveMemberByID(ctx context.Context, request *machine.EtcdRemoveMemberByIDRequest) (*machine.EtcdRemoveMemberByIDResponse, error) {
	_, err := ask(ctx, s.opts.Etcd, func(ctx context.Context, conn *grpc.ClientConn) (*etcdserverpb.MemberRemoveResponse, error) {
		return etcdserverpb.NewClusterClient(conn).MemberRemove(ctx, &etcdserverpb.MemberRemoveRequest{ID: request.MemberId})
	})
	if err != nil {
		return nil, err
	}

	s.opts.Log.InfoContext(ctx, "removed an etcd member", "member", request.MemberId)

	return &machine.EtcdRemoveMemberByIDResponse{Messages: []*machine.EtcdRemoveMemberByID{{}}}, nil
}

// EtcdLeaveCluster is part of machine.MachineServiceServer.
func (s *server) EtcdLeaveCluster(ctx context.Context, _ *machine.EtcdLeaveClusterRequest) (*machine.EtcdLeaveClusterResponse, error) {
	if s.opts.Etcd.Member == nil {
		return nil, errNoEtcd
	}

	s.opts.Log.InfoContext(ctx, "asked to leave etcd")

	// Half of it is worse than none, so it goes on where the caller gives up.
	if err := s.opts.Etcd.Member.LeaveEtcd(context.WithoutCancel(ctx)); err != nil {
		return nil, asStatus("leaving etcd", err)
	}

	return &machine.EtcdLeaveClusterResponse{Messages: []*machine.EtcdLeaveCluster{{}}}, nil
}

// EtcdForfeitLeadership is part of machine.MachineServiceServer.
func (s *server) EtcdForfeitLeadership(ctx context.Context, _ *machine.EtcdForfeitLeadershipRequest) (*machine.EtcdForfeitLeadershipResponse, error) {
	if s.opts.Etcd.Member == nil {
		return nil, errNoEtcd
	}

	successor, err := s.opts.Etcd.Member.ForfeitLeadership(ctx)
	if err != nil {
		return nil, asStatus("forfeiting the leadership of etcd", err)
	}

	return &machine.EtcdForfeitLeadershipResponse{Messages: []*machine.EtcdForfeitLeadership{{Member: successor}}}, nil
}

// asStatus says what was tried, with the code that the error has from a call below, if it is of one.
func asStatus(act string, err error) error {
	code := status.Code(err)
	if code == codes.Unknown {
		code = codes.Internal
	}

	return status.Errorf(code, "%s: %s", act, status.Convert(err).Message())
}
