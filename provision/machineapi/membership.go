package machineapi

import (
	"context"
	"fmt"
	"io"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/snapshot"
)

// MachineConfig is the node's live machine config (multi-document YAML), with its secrets.
func (c *Client) MachineConfig(ctx context.Context, node provision.Node) ([]byte, error) {
	live, err := safe.StateGetByID[*config.MachineConfig](c.to(ctx, node), c.client.COSI, config.ActiveID)
	if err != nil {
		return nil, explain(err)
	}
	data, err := live.Provider().Bytes()
	if err != nil {
		return nil, fmt.Errorf("cannot encode the machine config of %s: %w", node.Name, err)
	}
	return data, nil
}

// LeaveEtcd lets a living control plane give up its membership, and blocks until it has.
func (c *Client) LeaveEtcd(ctx context.Context, node provision.Node) error {
	return explain(c.client.EtcdLeaveCluster(c.to(ctx, node), &machineapi.EtcdLeaveClusterRequest{}))
}

// RemoveMember lets a living control plane remove a member by ID. One that is no member any more is no error.
func (c *Client) RemoveMember(ctx context.Context, via provision.Node, id uint64) error {
	err := c.client.EtcdRemoveMemberByID(c.to(ctx, via), &machineapi.EtcdRemoveMemberByIDRequest{MemberId: id})
	if client.StatusCode(err) == codes.NotFound {
		return nil
	}
	return explain(err)
}

// Snapshot writes etcd's data, as that member has it, with etcd's checksum at its end, which it checks.
func (c *Client) Snapshot(ctx context.Context, via provision.Node, w io.Writer) error {
	// A stream that nobody reads to its end is let go of with its context.
	ctx, cancel := context.WithCancel(c.to(ctx, via))
	defer cancel()
	stream, err := c.client.EtcdSnapshot(ctx, &machineapi.EtcdSnapshotRequest{})
	if err != nil {
		return explain(err)
	}
	defer stream.Close()
	check := snapshot.NewCheck()
	if _, err := io.Copy(io.MultiWriter(w, check), stream); err != nil {
		return fmt.Errorf("taking a snapshot of etcd: %w", explain(err))
	}
	return check.Verify()
}

// ForgetAffiliate lets a living node delete an affiliate, by its node ID, at every discovery server of the cluster. One
// that none knows is no error. The error names the servers that could not be asked.
func (c *Client) ForgetAffiliate(ctx context.Context, via provision.Node, nodeID string) error {
	err := c.client.COSI.Destroy(c.to(ctx, via), cluster.NewAffiliate(cluster.NamespaceName, nodeID).Metadata())
	if state.IsNotFoundError(err) {
		return nil
	}
	return explain(err)
}
