package machineapi

import (
	"context"
	"errors"
	"io"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// EtcdAlarmList is part of machine.MachineServiceServer.
func (s *server) EtcdAlarmList(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdAlarmListResponse, error) {
	raised, err := ask(ctx, s.opts.Etcd, raisedAlarms)
	if err != nil {
		return nil, err
	}

	return &machine.EtcdAlarmListResponse{Messages: []*machine.EtcdAlarm{{MemberAlarms: memberAlarms(raised)}}}, nil
}

// EtcdAlarmDisarm is part of machine.MachineServiceServer. It disarms every alarm that is raised, whichever member's,
// and answers those that it disarmed.
func (s *server) EtcdAlarmDisarm(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdAlarmDisarmResponse, error) {
	disarmed, err := ask(ctx, s.opts.Etcd, func(ctx context.Context, conn *grpc.ClientConn) ([]*etcdserverpb.AlarmMember, error) {
		raised, err := raisedAlarms(ctx, conn)
		if err != nil {
			return nil, err
		}

		for _, alarm := range raised {
			_, err := etcdserverpb.NewMaintenanceClient(conn).Alarm(ctx, &etcdserverpb.AlarmRequest{
				Action: etcdserverpb.AlarmRequest_DEACTIVATE, MemberID: alarm.MemberID, Alarm: alarm.Alarm,
			})
			if err != nil {
				return nil, err
			}
		}

		return raised, nil
	})
	if err != nil {
		return nil, err
	}

	return &machine.EtcdAlarmDisarmResponse{Messages: []*machine.EtcdAlarmDisarm{{MemberAlarms: memberAlarms(disarmed)}}}, nil
}

// raisedAlarms are those of all members.
func raisedAlarms(ctx context.Context, conn *grpc.ClientConn) ([]*etcdserverpb.AlarmMember, error) {
	answer, err := etcdserverpb.NewMaintenanceClient(conn).Alarm(ctx, &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_GET})

	return answer.GetAlarms(), err
}

// memberAlarms says the same in the machine API's types, whose numbers are etcd's.
func memberAlarms(raised []*etcdserverpb.AlarmMember) []*machine.EtcdMemberAlarm {
	var told []*machine.EtcdMemberAlarm
	for _, alarm := range raised {
		told = append(told, &machine.EtcdMemberAlarm{MemberId: alarm.MemberID, Alarm: machine.EtcdMemberAlarm_AlarmType(alarm.Alarm)})
	}

	return told
}

// EtcdDefragment is part of machine.MachineServiceServer. The member serves nobody meanwhile, which may take long.
func (s *server) EtcdDefragment(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdDefragmentResponse, error) {
	_, err := askWithin(ctx, s.opts.Etcd, 0, func(ctx context.Context, conn *grpc.ClientConn) (*etcdserverpb.DefragmentResponse, error) {
		return etcdserverpb.NewMaintenanceClient(conn).Defragment(ctx, &etcdserverpb.DefragmentRequest{})
	})
	if err != nil {
		return nil, err
	}

	s.opts.Log.InfoContext(ctx, "defragmented etcd")

	return &machine.EtcdDefragmentResponse{Messages: []*machine.EtcdDefragment{{}}}, nil
}

// EtcdDowngradeValidate is part of machine.MachineServiceServer.
func (s *server) EtcdDowngradeValidate(ctx context.Context, request *machine.EtcdDowngradeValidateRequest) (*machine.EtcdDowngradeValidateResponse, error) {
	cluster, err := s.downgrade(ctx, etcdserverpb.DowngradeRequest_VALIDATE, request.Version)
	if err != nil {
		return nil, err
	}

	return &machine.EtcdDowngradeValidateResponse{Messages: []*machine.EtcdDowngradeValidate{{ClusterDowngrade: cluster}}}, nil
}

// EtcdDowngradeEnable is part of machine.MachineServiceServer.
func (s *server) EtcdDowngradeEnable(ctx context.Context, request *machine.EtcdDowngradeEnableRequest) (*machine.EtcdDowngradeEnableResponse, error) {
	cluster, err := s.downgrade(ctx, etcdserverpb.DowngradeRequest_ENABLE, request.Version)
	if err != nil {
		return nil, err
	}

	return &machine.EtcdDowngradeEnableResponse{Messages: []*machine.EtcdDowngradeEnable{{ClusterDowngrade: cluster}}}, nil
}

// EtcdDowngradeCancel is part of machine.MachineServiceServer.
func (s *server) EtcdDowngradeCancel(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdDowngradeCancelResponse, error) {
	cluster, err := s.downgrade(ctx, etcdserverpb.DowngradeRequest_CANCEL, "")
	if err != nil {
		return nil, err
	}

	return &machine.EtcdDowngradeCancelResponse{Messages: []*machine.EtcdDowngradeCancel{{ClusterDowngrade: cluster}}}, nil
}

// downgrade lets members of an older minor version take over the store, or no more.
func (s *server) downgrade(ctx context.Context, action etcdserverpb.DowngradeRequest_DowngradeAction, version string) (*machine.EtcdClusterDowngrade, error) {
	answer, err := ask(ctx, s.opts.Etcd, func(ctx context.Context, conn *grpc.ClientConn) (*etcdserverpb.DowngradeResponse, error) {
		return etcdserverpb.NewMaintenanceClient(conn).Downgrade(ctx, &etcdserverpb.DowngradeRequest{Action: action, Version: version})
	})
	if err != nil {
		return nil, err
	}

	s.opts.Log.InfoContext(ctx, "asked etcd about a downgrade", "action", action, "version", version)

	return &machine.EtcdClusterDowngrade{ClusterVersion: answer.Version}, nil
}

// EtcdSnapshot is part of machine.MachineServiceServer. It streams what etcd does: its store, and at the end the hash
// that a restore checks.
func (s *server) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	_, err := askWithin(stream.Context(), s.opts.Etcd, 0, func(ctx context.Context, conn *grpc.ClientConn) (struct{}, error) {
		var nothing struct{}

		parts, err := etcdserverpb.NewMaintenanceClient(conn).Snapshot(ctx, &etcdserverpb.SnapshotRequest{})
		if err != nil {
			return nothing, err
		}

		for {
			part, err := parts.Recv()
			if errors.Is(err, io.EOF) {
				return nothing, nil
			}

			if err != nil {
				return nothing, err
			}

			if err := stream.Send(&common.Data{Bytes: part.Blob}); err != nil {
				return nothing, err
			}
		}
	})

	return err
}

// EtcdRecover is part of machine.MachineServiceServer. It keeps the snapshot that the client sends for Bootstrap.
func (s *server) EtcdRecover(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]) error {
	if s.opts.Etcd.Member == nil {
		return errNoEtcd
	}

	if err := s.opts.Etcd.Member.UploadSnapshot(&received{stream: stream}); err != nil {
		return asStatus("keeping the snapshot", err)
	}

	s.opts.Log.InfoContext(stream.Context(), "received a snapshot of etcd")

	return stream.SendAndClose(&machine.EtcdRecoverResponse{Messages: []*machine.EtcdRecover{{}}})
}

// received reads the bytes of a client's stream.
type received struct {
	stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]
	rest   []byte
}

// Read is part of io.Reader.
func (r *received) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		data, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}

		r.rest = data.Bytes
	}

	n := copy(p, r.rest)
	r.rest = r.rest[n:]

	return n, nil
}
