//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// TestControlPlanes makes a cluster of three control planes, kills the first without a word, and shows that it goes on.
func TestControlPlanes(t *testing.T) {
	l := newLab(t, "e2e-planes")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--controlplanes", "3", "--workers", "1")...))

	r := look(t, l)
	c := r.machineAPI(t)
	first, others := r.addresses()[0], r.addresses()[1:3]

	t.Run("etcd has the same voters everywhere", func(t *testing.T) { checkVoters(t, c, r.addresses()[:3], r.names()[:3]) })
	t.Run("loss of the first", func(t *testing.T) { r.testLossOfTheFirst(t, others) })
	t.Run("a node joins without the first", func(t *testing.T) {
		// The engine would give it the address of the lost one, which the balancer and the others still know.
		free := netip.MustParseAddr(r.addresses()[3]).Next()
		r.makeWorker(t, "--ip", free.String())
	})
	t.Run("etcd lets the lost one go", func(t *testing.T) {
		removeVoter(t, c, others[0], first)
		checkVoters(t, c, others, r.names()[1:3])
	})
	t.Run("a leader that leaves", func(t *testing.T) {
		if err := c.EtcdLeaveCluster(client.WithNode(t.Context(), others[0]), &machine.EtcdLeaveClusterRequest{}); err != nil {
			t.Fatal(err)
		}

		checkVoters(t, c, others[1:], r.names()[2:3])
		run(t, l.Kubectl(t.Context(), "create", "configmap", "after-the-leader-left"))
	})
	t.Run("it comes back with a reboot", func(t *testing.T) {
		if err := c.Reboot(client.WithNode(t.Context(), others[0])); err != nil {
			t.Fatal(err)
		}

		checkVoters(t, c, others, r.names()[1:3])
	})
}

func (r running) names() []string {
	var names []string
	for _, node := range r.nodes {
		names = append(names, node.Name)
	}

	return names
}

func (r running) machineAPI(t *testing.T) *client.Client {
	t.Helper()

	c, err := client.New(t.Context(), client.WithConfigFromFile(r.Talosconfig()), client.WithContextName(r.Cluster))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { c.Close() })

	return c
}

// checkVoters waits until each of the nodes tells the same members, all of which vote.
func checkVoters(t *testing.T, c *client.Client, nodes, names []string) {
	t.Helper()

	for _, node := range nodes {
		until(t, func(ctx context.Context) error {
			members, err := etcdMembers(client.WithNode(ctx, node), c)
			if err != nil {
				return err
			}

			var found []string

			for _, member := range members {
				found = append(found, member.GetHostname())

				if member.GetIsLearner() {
					err = errors.Join(err, fmt.Errorf("%s is a learner", member.GetHostname()))
				}
			}

			slices.Sort(found)

			if !slices.Equal(found, names) {
				err = errors.Join(err, fmt.Errorf("%s tells the members %v, want %v", node, found, names))
			}

			return err
		})
	}
}

func etcdMembers(ctx context.Context, c *client.Client) ([]*machine.EtcdMember, error) {
	answer, err := c.EtcdMemberList(ctx, &machine.EtcdMemberListRequest{})
	if err != nil {
		return nil, err
	}

	return answer.GetMessages()[0].GetMembers(), nil
}

// removeVoter has node remove the member that was at the address.
func removeVoter(t *testing.T, c *client.Client, node, address string) {
	t.Helper()

	ctx := client.WithNode(t.Context(), node)

	members, err := etcdMembers(ctx, c)
	if err != nil {
		t.Fatal(err)
	}

	for _, member := range members {
		if !slices.Contains(member.GetPeerUrls(), "https://"+address+":2380") {
			continue
		}

		if err := c.EtcdRemoveMemberByID(ctx, &machine.EtcdRemoveMemberByIDRequest{MemberId: member.GetId()}); err != nil {
			t.Fatal(err)
		}
	}
}

// testLossOfTheFirst writes through the Kubernetes API's endpoint and straight to the other members of etcd while the
// first control plane dies: both go on, and what either was told is written stays written.
func (r running) testLossOfTheFirst(t *testing.T, others []string) {
	kubernetes := write(t, r.kubernetesWriter(t))
	etcd := write(t, r.etcdWriter(t, others))

	kubernetes.await(t)
	etcd.await(t)

	if _, err := lab.Docker(t.Context(), "rm", "--force", r.nodes[0].Name); err != nil {
		t.Fatal(err)
	}

	kubernetes.await(t)
	etcd.await(t)

	for name, writer := range map[string]*writing{"Kubernetes": kubernetes, "etcd": etcd} {
		acknowledged, gap := writer.stop()
		t.Logf("%s: %d writes, the longest gap between two was %s", name, len(acknowledged), gap)

		for _, key := range acknowledged {
			if err := writer.target.read(t.Context(), key); err != nil {
				t.Errorf("%s acknowledged %s, and it is lost: %v", name, key, err)
			}
		}
	}
}

// TestRecoverFromASnapshot loses a cluster's only etcd and makes it anew from a snapshot: what was written before that
// is there again, what came later is not.
func TestRecoverFromASnapshot(t *testing.T) {
	l := newLab(t, "e2e-recover")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "0")...))

	r := look(t, l)
	c := r.machineAPI(t)
	ctx := client.WithNode(t.Context(), r.addresses()[0])

	run(t, l.Kubectl(t.Context(), "create", "configmap", "before"))

	snapshot := takeSnapshot(t, ctx, c)

	run(t, l.Kubectl(t.Context(), "create", "configmap", "after"))

	if _, err := c.EtcdRecover(ctx, bytes.NewReader(snapshot)); client.StatusCode(err) != codes.FailedPrecondition {
		t.Errorf("recovering a member that lives: %v", err)
	}

	request := &machine.ResetRequest{Graceful: true, Reboot: true}
	if err := c.ResetGeneric(ctx, request); client.StatusCode(err) != codes.FailedPrecondition {
		t.Errorf("the only member leaves gracefully: %v", err)
	}

	request = &machine.ResetRequest{Reboot: true, SystemPartitionsToWipe: []*machine.ResetPartitionSpec{{Label: "EPHEMERAL", Wipe: true}}}
	if err := c.ResetGeneric(ctx, request); err != nil {
		t.Fatal(err)
	}

	recoverFrom(t, ctx, c, snapshot)

	until(t, func(ctx context.Context) error {
		_, err := lab.Output(l.Kubectl(ctx, "get", "configmap", "before", "--request-timeout", "5s"))

		return err
	})

	if output, err := lab.Output(l.Kubectl(t.Context(), "get", "configmap", "after")); err == nil {
		t.Errorf("what was written after the snapshot is there: %s", output)
	}

	until(t, func(ctx context.Context) error { return r.nodeReady(ctx, r.nodes[0].Name) })
}

func takeSnapshot(t *testing.T, ctx context.Context, c *client.Client) []byte {
	t.Helper()

	stream, err := c.EtcdSnapshot(ctx, &machine.EtcdSnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()

	snapshot, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}

	return snapshot
}

// recoverFrom waits until the node has no etcd any more, and gives it that of the snapshot.
func recoverFrom(t *testing.T, ctx context.Context, c *client.Client, snapshot []byte) {
	t.Helper()

	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	err := lab.Until(limited, func(ctx context.Context) error {
		_, err := c.EtcdRecover(ctx, bytes.NewReader(snapshot))

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	if err := c.Bootstrap(ctx, &machine.BootstrapRequest{RecoverEtcd: true}); err != nil {
		t.Fatal(err)
	}
}
