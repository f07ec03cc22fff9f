// Package machineapi speaks to machined on a cluster's nodes: gRPC over mutual TLS, through the port that the host maps
// to the cluster's balancer, with the client that talosctl is made of. It may import machinery, the
// COSI runtime, provision, its picture, machineconfig and snapshot, and no provider.
package machineapi

import (
	"context"
	"fmt"
	"time"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// Client implements provision.Machines, and what reconciling asks of nodes beyond.
type Client struct {
	client *client.Client
}

// Open makes a client of the cluster's machine API. It does not wait for a connection.
func Open(access provision.Access) (*Client, error) {
	secrets, err := machineconfig.ParseSecrets(access.Secrets)
	if err != nil {
		return nil, err
	}
	data, err := secrets.Talosconfig(access.Cluster.Name, "", access.MachineAPI.String())
	if err != nil {
		return nil, err
	}
	config, err := clientconfig.FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the talosconfig: %w", err)
	}
	// gRPC's own patience after a refused connection grows from one second on; a node that boots answers sooner.
	impatient := grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 30 * time.Millisecond, Multiplier: 1, MaxDelay: 50 * time.Millisecond},
		MinConnectTimeout: 2 * time.Second,
	})
	// The client keeps the context for nothing but its interface.
	c, err := client.New(context.Background(), client.WithConfig(config), client.WithGRPCDialOptions(impatient))
	if err != nil {
		return nil, fmt.Errorf("cannot open the machine API: %w", err)
	}
	return &Client{client: c}, nil
}

// Close ends the connections.
func (c *Client) Close() error {
	return c.client.Close()
}

// to addresses a call to a node: whichever control plane takes the call passes it on.
func (c *Client) to(ctx context.Context, node provision.Node) context.Context {
	return client.WithNode(ctx, node.IP.String())
}

// Bootstrap founds etcd on the node. A node that was bootstrapped before is no error.
func (c *Client) Bootstrap(ctx context.Context, node provision.Node) error {
	err := c.client.Bootstrap(c.to(ctx, node), &machineapi.BootstrapRequest{})
	if client.StatusCode(err) == codes.AlreadyExists {
		return nil
	}
	return explain(err)
}

// ForfeitLeadership lets another member lead etcd. A node that does not lead is no error, nor is one that does not know
// the call: etcd hands leadership over by itself when it ends in order.
func (c *Client) ForfeitLeadership(ctx context.Context, node provision.Node) error {
	_, err := c.client.EtcdForfeitLeadership(c.to(ctx, node), &machineapi.EtcdForfeitLeadershipRequest{})
	if client.StatusCode(err) == codes.Unimplemented {
		return nil
	}
	return explain(err)
}

// Version is the node's version, with a leading v.
func (c *Client) Version(ctx context.Context, node provision.Node) (string, error) {
	response, err := c.client.Version(c.to(ctx, node))
	if err != nil {
		return "", explain(err)
	}
	for _, message := range response.GetMessages() {
		return message.GetVersion().GetTag(), nil
	}
	return "", fmt.Errorf("cannot tell the version of %s: the answer is empty", node.Name)
}

// Services tells how the node's services are.
func (c *Client) Services(ctx context.Context, node provision.Node) ([]provision.Service, error) {
	response, err := c.client.ServiceList(c.to(ctx, node))
	if err != nil {
		return nil, explain(err)
	}
	var services []provision.Service
	for _, message := range response.GetMessages() {
		for _, info := range message.GetServices() {
			services = append(services, service(info))
		}
	}
	return services, nil
}

func service(info *machineapi.ServiceInfo) provision.Service {
	const running = "Running"
	health := info.GetHealth()
	message := health.GetLastMessage()
	if events := info.GetEvents().GetEvents(); message == "" && len(events) > 0 {
		message = events[len(events)-1].GetMsg()
	}
	return provision.Service{
		ID:      info.GetId(),
		State:   info.GetState(),
		Healthy: info.GetState() == running && (health.GetHealthy() || health.GetUnknown()),
		Message: message,
	}
}

// Kubeconfig asks a control plane for an administrator's kubeconfig. Its server is the cluster's endpoint,
// which the host may not reach.
func (c *Client) Kubeconfig(ctx context.Context) ([]byte, error) {
	data, err := c.client.Kubeconfig(ctx)
	return data, explain(err)
}
