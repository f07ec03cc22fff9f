//go:build e2e

package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/test/lab/labtest"
)

func etcdLines() []line {
	return []line{
		{name: "members", on: onControlPlane, talosctl: []string{"etcd", "members"}, do: etcdMembers},
		{name: "status", on: onControlPlane, talosctl: []string{"etcd", "status"}, do: etcdStatus},
		{name: "alarms", on: onControlPlane, talosctl: []string{"etcd", "alarm", "list"}, do: etcdAlarms},
		{name: "defragment", on: onControlPlane, talosctl: []string{"etcd", "defrag"}, do: etcdDefragment},
		{name: "snapshot", on: onControlPlane, do: etcdSnapshot},
		{name: "downgrade", on: onControlPlane, do: etcdDowngrade},
		{name: "bootstrap once more", on: onControlPlane, talosctl: []string{"bootstrap"}, refused: true, do: bootstrapAgain},
		{name: "recover what is alive", on: onControlPlane, do: recoverAlive},
		{name: "remove a stranger", on: onControlPlane, do: removeStranger},
		{name: "forfeit", on: onControlPlane, do: forfeit},
		{name: "members of a worker", on: onWorker, talosctl: []string{"etcd", "members"}, refused: true, do: etcdOfWorker},
	}
}

func members(ctx context.Context, c *cluster) ([]*machine.EtcdMember, error) {
	answer, err := c.client.EtcdMemberList(ctx, &machine.EtcdMemberListRequest{})

	got, err := one(answer.GetMessages(), err)

	return got.GetMembers(), err
}

func etcdMembers(ctx context.Context, c *cluster, _ string) error {
	all, err := members(ctx, c)
	if err != nil {
		return err
	}

	var names, wanted []string

	for _, member := range all {
		names = append(names, member.GetHostname())

		if member.GetIsLearner() {
			return fmt.Errorf("%s is a learner", member.GetHostname())
		}
	}

	for _, node := range c.controlPlanes {
		wanted = append(wanted, c.names[node])
	}

	slices.Sort(names)
	slices.Sort(wanted)

	return want(slices.Equal(names, wanted), "the members are %v, want %v", names, wanted)
}

func status(ctx context.Context, c *cluster) (*machine.EtcdMemberStatus, error) {
	answer, err := c.client.EtcdStatus(ctx)

	got, err := one(answer.GetMessages(), err)

	return got.GetMemberStatus(), err
}

func etcdStatus(ctx context.Context, c *cluster, _ string) error {
	got, err := status(ctx, c)

	return errors.Join(err, want(got.GetLeader() != 0 && got.GetMemberId() != 0 && got.GetDbSize() > 0 && len(got.GetErrors()) == 0, "the status is %v", got))
}

func etcdAlarms(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.EtcdAlarmList(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	_, err = c.client.EtcdAlarmDisarm(ctx)

	return errors.Join(err, want(len(got.GetMemberAlarms()) == 0, "there are alarms: %v", got.GetMemberAlarms()))
}

func etcdDefragment(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.EtcdDefragment(ctx)
	_, err = one(answer.GetMessages(), err)

	return err
}

// etcdSnapshot wants a whole database: pages, of which the first names itself, and a SHA-256 behind them.
func etcdSnapshot(ctx context.Context, c *cluster, _ string) error {
	_, err := snapshot(ctx, c)

	return err
}

func snapshot(ctx context.Context, c *cluster) ([]byte, error) {
	reader, err := c.client.EtcdSnapshot(ctx, &machine.EtcdSnapshotRequest{})
	if err != nil {
		return nil, err
	}
	defer reader.Close()

	all, err := io.ReadAll(reader)

	return all, errors.Join(err, want(len(all)%512 == 32, "the snapshot has %d bytes, which is not pages and a hash", len(all)))
}

func etcdDowngrade(ctx context.Context, c *cluster, _ string) error {
	_, validated := c.client.EtcdDowngradeValidate(ctx, &machine.EtcdDowngradeValidateRequest{Version: "3.6"})
	_, enabled := c.client.EtcdDowngradeEnable(ctx, &machine.EtcdDowngradeEnableRequest{Version: "3.6"})
	_, cancelled := c.client.EtcdDowngradeCancel(ctx)

	return errors.Join(validated, enabled, cancelled)
}

func bootstrapAgain(ctx context.Context, c *cluster, _ string) error {
	err := c.client.Bootstrap(ctx, &machine.BootstrapRequest{})

	return want(client.StatusCode(err) == codes.AlreadyExists, "the error is %v", err)
}

// recoverAlive uploads a snapshot to a node that has its data: what was uploaded must not be used.
func recoverAlive(ctx context.Context, c *cluster, _ string) error {
	taken, err := snapshot(ctx, c)
	if err != nil {
		return err
	}

	_, uploaded := c.client.EtcdRecover(ctx, bytes.NewReader(taken))
	recovered := c.client.Bootstrap(ctx, &machine.BootstrapRequest{RecoverEtcd: true})

	return want(uploaded != nil || recovered != nil, "an etcd that is alive was recovered")
}

func removeStranger(ctx context.Context, c *cluster, _ string) error {
	err := c.client.EtcdRemoveMemberByID(ctx, &machine.EtcdRemoveMemberByIDRequest{MemberId: 1})

	return want(client.StatusCode(err) == codes.NotFound, "the error is %v", err)
}

// forfeit is an error on the only member, and moves the leadership elsewhere.
func forfeit(ctx context.Context, c *cluster, _ string) error {
	_, err := c.client.EtcdForfeitLeadership(ctx, &machine.EtcdForfeitLeadershipRequest{})

	if len(c.controlPlanes) > 1 {
		return err
	}

	return want(err != nil, "the only member forfeited its leadership")
}

func etcdOfWorker(ctx context.Context, c *cluster, _ string) error {
	_, listed := members(ctx, c)
	left := c.client.EtcdLeaveCluster(ctx, &machine.EtcdLeaveClusterRequest{})

	return want(listed != nil && left != nil, "a worker answers %v and %v", listed, left)
}

// testForfeit has the leader give up, and wants another to lead.
func (c *cluster) testForfeit(t *testing.T) {
	before, err := status(client.WithNode(t.Context(), c.controlPlanes[0]), c)
	if err != nil {
		t.Fatal(err)
	}

	leader := c.leader(t, before.GetLeader())

	ctx := client.WithNode(t.Context(), leader)
	if _, err := c.client.EtcdForfeitLeadership(ctx, &machine.EtcdForfeitLeadershipRequest{}); err != nil {
		t.Fatal(err)
	}

	labtest.Until(t, func(ctx context.Context) error {
		now, err := status(client.WithNode(ctx, leader), c)

		return errors.Join(err, want(now.GetLeader() != 0 && now.GetLeader() != before.GetLeader(), "%s still leads", leader))
	})
}

// leader finds the node whose member has that ID.
func (c *cluster) leader(t *testing.T, id uint64) string {
	t.Helper()

	for _, node := range c.controlPlanes {
		if got, err := status(client.WithNode(t.Context(), node), c); err == nil && got.GetMemberId() == id {
			return node
		}
	}

	t.Fatalf("no control plane is member %x", id)

	return ""
}

// testLeaveAndRemove has one control plane leave, and removes another by its member ID.
func (c *cluster) testLeaveAndRemove(t *testing.T) {
	witness, leaver, removed := c.controlPlanes[0], c.controlPlanes[1], c.controlPlanes[2]

	if err := c.client.EtcdLeaveCluster(client.WithNode(t.Context(), leaver), &machine.EtcdLeaveClusterRequest{}); err != nil {
		t.Fatal(err)
	}

	c.wantMembers(t, witness, 2)

	all, err := members(client.WithNode(t.Context(), witness), c)
	if err != nil {
		t.Fatal(err)
	}

	for _, member := range all {
		if member.GetHostname() != c.names[removed] {
			continue
		}

		request := &machine.EtcdRemoveMemberByIDRequest{MemberId: member.GetId()}
		if err := c.client.EtcdRemoveMemberByID(client.WithNode(t.Context(), witness), request); err != nil {
			t.Fatal(err)
		}
	}

	c.wantMembers(t, witness, 1)
}

func (c *cluster) wantMembers(t *testing.T, witness string, wanted int) {
	t.Helper()

	labtest.Until(t, func(ctx context.Context) error {
		all, err := members(client.WithNode(ctx, witness), c)

		return errors.Join(err, want(len(all) == wanted, "there are %d members, want %d", len(all), wanted))
	})
}
