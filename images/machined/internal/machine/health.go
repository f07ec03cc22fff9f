package machine

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/cosi-project/runtime/pkg/safe"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
	"github.com/bronze-os/bronze/images/machined/internal/health"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// health is how a control plane examines its cluster.
func (m *Machine) health() health.Options {
	return health.Options{
		Nodes: m.knownNodes,
		Dial:  m.dialNode,
		Kubernetes: func(endpoint string) (*kubeapi.Client, error) {
			config, err := m.nodeTLS()
			if err != nil {
				return nil, err
			}

			if endpoint == "" {
				endpoint = "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(m.servingPort()))
			}

			return kubeapi.New(endpoint, config), nil
		},
	}
}

// knownNodes are the members that discovery tells.
func (m *Machine) knownNodes(ctx context.Context) ([]health.Node, error) {
	members, err := safe.StateListAll[*cluster.Member](ctx, m.state)
	if err != nil {
		return nil, fmt.Errorf("listing the cluster's members: %w", err)
	}

	var nodes []health.Node
	for member := range members.All() {
		nodes = append(nodes, health.Node{
			Addresses:    member.TypedSpec().Addresses,
			ControlPlane: member.TypedSpec().MachineType != machinetype.TypeWorker,
		})
	}

	return nodes, nil
}

// dialNode connects to a node's apid in the name of the caller that ctx is of: its roles go along, and the mark that the
// call has been routed.
func (m *Machine) dialNode(ctx context.Context, address string) (context.Context, *grpc.ClientConn, error) {
	config, err := m.pki.ClientTLS()
	if err != nil {
		return ctx, nil, err
	}

	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(address, strconv.Itoa(boot.MachineAPIPort)),
		grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithNoProxy())
	if err != nil {
		return ctx, nil, fmt.Errorf("cannot make a client for %s: %w", address, err)
	}

	marks := metadata.MD{constants.APIAuthzRoleMetadataKey: authz.Roles(ctx).Strings()}
	marks.Set(authz.ProxyFromKey, "health")

	return metadata.NewOutgoingContext(ctx, marks), conn, nil
}
