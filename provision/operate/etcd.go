package operate

import (
	"context"
	"fmt"
	"io"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bronze-os/bronze/provision/snapshot"
)

// Bootstrap founds etcd on the one node; where a snapshot is given, from that. skipHashCheck takes a snapshot that is a
// copy of a data directory and carries no checksum.
func (f *Fleet) Bootstrap(ctx context.Context, snapshot io.Reader, skipHashCheck bool) error {
	n, err := f.one("bootstrap")
	if err != nil {
		return err
	}
	if snapshot != nil {
		if _, err := n.client.EtcdRecover(n.to(ctx), snapshot); err != nil {
			return fmt.Errorf("node %s: uploading the snapshot: %w", n.name, explain(err))
		}
	}
	_, err = ask(ctx, f, machine.MachineServiceClient.Bootstrap, &machine.BootstrapRequest{
		RecoverEtcd: snapshot != nil, RecoverSkipHashCheck: skipHashCheck,
	})
	return err
}

// EtcdMembers lists etcd's members as each node sees them.
func (f *Fleet) EtcdMembers(ctx context.Context) ([]Answer[*machine.EtcdMembers], error) {
	return ask(ctx, f, machine.MachineServiceClient.EtcdMemberList, &machine.EtcdMemberListRequest{})
}

// EtcdStatus tells how each node's member is.
func (f *Fleet) EtcdStatus(ctx context.Context) ([]Answer[*machine.EtcdStatus], error) {
	return ask(ctx, f, machine.MachineServiceClient.EtcdStatus, &emptypb.Empty{})
}

// EtcdLeave makes the nodes leave etcd for good.
func (f *Fleet) EtcdLeave(ctx context.Context) error {
	_, err := ask(ctx, f, machine.MachineServiceClient.EtcdLeaveCluster, &machine.EtcdLeaveClusterRequest{})
	return err
}

// EtcdForfeitLeadership makes the nodes hand etcd's leadership to another member, and tells to which.
func (f *Fleet) EtcdForfeitLeadership(ctx context.Context) ([]Answer[*machine.EtcdForfeitLeadership], error) {
	return ask(ctx, f, machine.MachineServiceClient.EtcdForfeitLeadership, &machine.EtcdForfeitLeadershipRequest{})
}

// EtcdRemoveMember removes a member whose node is gone.
func (f *Fleet) EtcdRemoveMember(ctx context.Context, member uint64) error {
	if _, err := f.one("remove an etcd member"); err != nil {
		return err
	}
	_, err := ask(ctx, f, machine.MachineServiceClient.EtcdRemoveMemberByID, &machine.EtcdRemoveMemberByIDRequest{MemberId: member})
	return err
}

// EtcdAlarms lists the alarms that are raised.
func (f *Fleet) EtcdAlarms(ctx context.Context) ([]Answer[*machine.EtcdAlarm], error) {
	return ask(ctx, f, machine.MachineServiceClient.EtcdAlarmList, &emptypb.Empty{})
}

// EtcdDisarm takes the alarms back, and lists which.
func (f *Fleet) EtcdDisarm(ctx context.Context) ([]Answer[*machine.EtcdAlarmDisarm], error) {
	return ask(ctx, f, machine.MachineServiceClient.EtcdAlarmDisarm, &emptypb.Empty{})
}

// EtcdDefragment frees the disk space that the one node's member no longer uses. The member is out of service meanwhile.
func (f *Fleet) EtcdDefragment(ctx context.Context) error {
	if _, err := f.one("defragment etcd"); err != nil {
		return err
	}
	_, err := ask(ctx, f, machine.MachineServiceClient.EtcdDefragment, &emptypb.Empty{})
	return err
}

// EtcdSnapshot writes a backup of etcd from the one node to w, and returns its size in bytes. The checksum that etcd
// puts at the end is checked.
func (f *Fleet) EtcdSnapshot(ctx context.Context, w io.Writer) (int64, error) {
	n, err := f.one("take a snapshot")
	if err != nil {
		return 0, err
	}
	stream, err := n.client.EtcdSnapshot(n.to(ctx), &machine.EtcdSnapshotRequest{})
	if err != nil {
		return 0, fmt.Errorf("node %s: %w", n.name, explain(err))
	}
	defer stream.Close()
	check := snapshot.NewCheck()
	size, err := io.Copy(io.MultiWriter(w, check), stream)
	if err != nil {
		return size, fmt.Errorf("node %s: %w", n.name, explain(err))
	}
	return size, check.Verify()
}
