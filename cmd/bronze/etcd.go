package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

func newEtcd(a *app) *cobra.Command {
	return parent("etcd", "Look at etcd and look after it",
		newEtcdMembers(a), newEtcdStatus(a), newEtcdSnapshot(a), newEtcdRecover(a), newEtcdRemoveMember(a),
		etcdAction(a, "leave", "Make nodes leave etcd for good", (*operate.Fleet).EtcdLeave),
		etcdAction(a, "defrag", "Give disk space back that the member of a node no longer uses", (*operate.Fleet).EtcdDefragment),
		newEtcdForfeit(a),
		parent("alarm", "Look at alarms and take them back", newEtcdAlarmList(a), newEtcdAlarmDisarm(a)),
	)
}

// etcdAction is a command without arguments or answer.
func etcdAction(a *app, use, short string, act func(*operate.Fleet, context.Context) error) *cobra.Command {
	options := &nodeOptions{app: a}
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	return nodeCommand(options, cmd, func(ctx context.Context, _ []string) error {
		return options.on(func(fleet *operate.Fleet) error { return act(fleet, ctx) })
	})
}

func memberID(id uint64) string {
	return fmt.Sprintf("%016x", id)
}

func newEtcdMembers(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "members", Short: "List etcd's members", Args: cobra.NoArgs}
	return askCommand(&nodeOptions{app: a}, cmd, []string{"ID", "HOSTNAME", "PEER URLS", "CLIENT URLS", "LEARNER"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.EtcdMembers], error) {
			return fleet.EtcdMembers(ctx)
		}, func(members *machine.EtcdMembers) [][]string {
			var rows [][]string
			for _, member := range members.GetMembers() {
				rows = append(rows, []string{
					memberID(member.GetId()), member.GetHostname(), strings.Join(member.GetPeerUrls(), ","),
					strings.Join(member.GetClientUrls(), ","), strconv.FormatBool(member.GetIsLearner()),
				})
			}
			return rows
		})
}

func newEtcdStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show how the nodes' members of etcd are", Args: cobra.NoArgs}
	heading := []string{"MEMBER", "DB SIZE", "IN USE", "LEADER", "RAFT INDEX", "RAFT TERM", "RAFT APPLIED INDEX", "LEARNER", "PROTOCOL", "STORAGE", "ERRORS"}
	return askCommand(&nodeOptions{app: a}, cmd, heading,
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.EtcdStatus], error) {
			return fleet.EtcdStatus(ctx)
		}, func(status *machine.EtcdStatus) [][]string {
			member := status.GetMemberStatus()
			used := 0.0
			if member.GetDbSize() > 0 {
				used = float64(member.GetDbSizeInUse()) / float64(member.GetDbSize()) * 100
			}
			return [][]string{{
				memberID(member.GetMemberId()), sizeWord(member.GetDbSize()),
				fmt.Sprintf("%s (%.2f%%)", sizeWord(member.GetDbSizeInUse()), used), memberID(member.GetLeader()),
				fmt.Sprint(member.GetRaftIndex()), fmt.Sprint(member.GetRaftTerm()), fmt.Sprint(member.GetRaftAppliedIndex()),
				strconv.FormatBool(member.GetIsLearner()), member.GetProtocolVersion(), member.GetStorageVersion(),
				strings.Join(member.GetErrors(), ", "),
			}}
		})
}

// sizeWord shows bytes in a unit that leaves few digits.
func sizeWord(bytes int64) string {
	size, units := float64(bytes), []string{"B", "kB", "MB", "GB", "TB"}
	for size >= 1000 && len(units) > 1 {
		size, units = size/1000, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", size, units[0])
}

func newEtcdForfeit(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "forfeit-leadership", Short: "Make a node hand etcd's leadership to another", Args: cobra.NoArgs}
	return askCommand(&nodeOptions{app: a}, cmd, []string{"NEW LEADER"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.EtcdForfeitLeadership], error) {
			return fleet.EtcdForfeitLeadership(ctx)
		}, func(forfeited *machine.EtcdForfeitLeadership) [][]string { return [][]string{{forfeited.GetMember()}} })
}

func alarmRows(alarms []*machine.EtcdMemberAlarm) [][]string {
	var rows [][]string
	for _, alarm := range alarms {
		rows = append(rows, []string{memberID(alarm.GetMemberId()), alarm.GetAlarm().String()})
	}
	return rows
}

func newEtcdAlarmList(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the alarms that are raised", Args: cobra.NoArgs}
	return askCommand(&nodeOptions{app: a}, cmd, []string{"MEMBER", "ALARM"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.EtcdAlarm], error) {
			return fleet.EtcdAlarms(ctx)
		}, func(alarm *machine.EtcdAlarm) [][]string { return alarmRows(alarm.GetMemberAlarms()) })
}

func newEtcdAlarmDisarm(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "disarm", Short: "Take the alarms back", Args: cobra.NoArgs}
	return askCommand(&nodeOptions{app: a}, cmd, []string{"MEMBER", "ALARM"},
		func(ctx context.Context, fleet *operate.Fleet, _ []string) ([]operate.Answer[*machine.EtcdAlarmDisarm], error) {
			return fleet.EtcdDisarm(ctx)
		}, func(alarm *machine.EtcdAlarmDisarm) [][]string { return alarmRows(alarm.GetMemberAlarms()) })
}

func newEtcdRemoveMember(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	cmd := &cobra.Command{
		Use: "remove-member ID", Short: "Remove a member of etcd whose node is gone", Args: cobra.ExactArgs(1),
		Long: `Remove-member removes a member, by the ID that bronze etcd members shows, whose node is gone for good. A node that runs
leaves by bronze etcd leave.`,
	}
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		id, err := strconv.ParseUint(args[0], 16, 64)
		if err != nil {
			return misused(cmd, fmt.Errorf("cannot read member ID %q: want the hexadecimal number that bronze etcd members shows", args[0]))
		}
		return options.on(func(fleet *operate.Fleet) error { return fleet.EtcdRemoveMember(ctx, id) })
	})
}

func newEtcdSnapshot(a *app) *cobra.Command {
	options := &nodeOptions{app: a}
	cmd := &cobra.Command{
		Use: "snapshot FILE", Short: "Write a backup of etcd to a file", Args: cobra.ExactArgs(1),
		Example: `  bronze etcd snapshot db.snapshot -n 10.5.0.2`,
	}
	return nodeCommand(options, cmd, func(ctx context.Context, args []string) error {
		return options.on(func(fleet *operate.Fleet) error {
			size, err := snapshotTo(ctx, fleet, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "etcd snapshot saved to %q (%d bytes)\n", args[0], size)
			return nil
		})
	})
}

// snapshotTo leaves a file at path only where the snapshot is whole.
func snapshotTo(ctx context.Context, fleet *operate.Fleet, path string) (int64, error) {
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, madeMode)
	if err != nil {
		return 0, fmt.Errorf("cannot write the snapshot: %w", err)
	}
	size, err := fleet.EtcdSnapshot(ctx, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, path); err != nil {
		return 0, fmt.Errorf("cannot write the snapshot: %w", err)
	}
	return size, nil
}
