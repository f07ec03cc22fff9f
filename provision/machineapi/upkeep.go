package machineapi

import (
	"context"
	"fmt"
	"time"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"

	"github.com/bronze-os/bronze/provision"
)

// Incarnation tells one process of a node's service from the next, by when it was started. It is empty while the service
// does not run.
func (c *Client) Incarnation(ctx context.Context, node provision.Node, service string) (string, error) {
	response, err := c.client.ServiceList(c.to(ctx, node))
	if err != nil {
		return "", explain(err)
	}
	for _, message := range response.GetMessages() {
		for _, info := range message.GetServices() {
			if info.GetId() == service {
				return incarnation(info), nil
			}
		}
	}
	return "", fmt.Errorf("cannot find service %q on %s", service, node.Name)
}

func incarnation(info *machineapi.ServiceInfo) string {
	const running = "Running"
	if info.GetState() != running {
		return ""
	}
	began := ""
	for _, event := range info.GetEvents().GetEvents() {
		if event.GetState() == running {
			began = event.GetTs().AsTime().Format(time.RFC3339Nano)
		}
	}
	return began
}

// ApplyLive gives a node another machine config, of which all must take effect without a reboot.
func (c *Client) ApplyLive(ctx context.Context, node provision.Node, machineConfig []byte) error {
	_, err := c.client.ApplyConfiguration(c.to(ctx, node), &machineapi.ApplyConfigurationRequest{
		Data: machineConfig, Mode: machineapi.ApplyConfigurationRequest_NO_REBOOT,
	})
	return explain(err)
}

// Defragment gives the disk space back that the node's etcd no longer uses. The member is out of service meanwhile.
func (c *Client) Defragment(ctx context.Context, node provision.Node) error {
	_, err := c.client.EtcdDefragment(c.to(ctx, node))
	return explain(err)
}

// Disarm takes all alarms of etcd back.
func (c *Client) Disarm(ctx context.Context, via provision.Node) error {
	_, err := c.client.EtcdAlarmDisarm(c.to(ctx, via))
	return explain(err)
}
