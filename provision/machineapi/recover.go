package machineapi

import (
	"context"
	"fmt"
	"io"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
)

// FoundEtcd gives a control plane that has no data of etcd a snapshot, and has it found etcd from that. A node that has
// such data, or founds etcd already, keeps what it has, which is no error. ErrHopeless is in the error where the snapshot
// cannot be used.
func (c *Client) FoundEtcd(ctx context.Context, node provision.Node, snapshot io.Reader) error {
	// A node with data takes no snapshot; whether it has them for good, the bootstrap says.
	_, err := c.client.EtcdRecover(c.to(ctx, node), snapshot)
	if err != nil && client.StatusCode(err) != codes.FailedPrecondition {
		return explain(err)
	}
	err = c.client.Bootstrap(c.to(ctx, node), &machineapi.BootstrapRequest{RecoverEtcd: true})
	switch client.StatusCode(err) {
	case codes.AlreadyExists:
		return nil
	case codes.InvalidArgument:
		return fmt.Errorf("%w: %w", explain(err), provision.ErrHopeless)
	default:
		return explain(err)
	}
}
