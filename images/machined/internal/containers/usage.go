package containers

import (
	"context"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Usage is what a container takes.
type Usage struct {
	Container
	// Memory is in bytes, CPU is all that it ever used.
	Memory uint64
	CPU    time.Duration
}

// Usages tells what the running containers of a namespace take, in the order of List.
func (c *Client) Usages(ctx context.Context, namespace string) ([]Usage, error) {
	all, err := c.List(ctx, namespace)
	if err != nil {
		return nil, err
	}

	metrics, err := tasksapi.NewTasksClient(c.conn).Metrics(in(ctx, namespace), &tasksapi.MetricsRequest{})
	if err != nil {
		return nil, err
	}

	measured := map[string]*anypb.Any{}
	for _, metric := range metrics.Metrics {
		measured[metric.ID] = metric.Data
	}

	var usages []Usage

	for _, one := range all {
		if data, ok := measured[one.ID]; ok {
			memory, cpu := usageOf(data)
			usages = append(usages, Usage{Container: one, Memory: memory, CPU: cpu})
		}
	}

	return usages, nil
}

// usageOf reads the figures of either version of control groups; those that it does not know are zero.
func usageOf(data *anypb.Any) (memory uint64, cpu time.Duration) {
	switch data.GetTypeUrl() {
	case "io.containerd.cgroups.v1.Metrics":
		var read v1.Metrics
		if proto.Unmarshal(data.Value, &read) == nil {
			return read.GetMemory().GetUsage().GetUsage(), time.Duration(read.GetCPU().GetUsage().GetTotal())
		}
	case "io.containerd.cgroups.v2.Metrics":
		var read v2.Metrics
		if proto.Unmarshal(data.Value, &read) == nil {
			return read.GetMemory().GetUsage(), time.Duration(read.GetCPU().GetUsageUsec()) * time.Microsecond
		}
	}

	return 0, 0
}
