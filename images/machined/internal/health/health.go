// Package health answers whether a whole cluster works: ClusterService.HealthCheck, which waits for one condition after the
// other and tells the caller what it waits for. The conditions are those of talosctl health. It asks the nodes over the
// machine API and Kubernetes over its own, and changes nothing.
package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

const (
	// defaultWait is for callers that do not say how long they wait.
	defaultWait = 5 * time.Minute
	// conditionLimit bounds the wait for one condition, as in Talos.
	conditionLimit = 5 * time.Minute
	// attemptLimit bounds one look at a condition, and pause lies between two.
	attemptLimit = 15 * time.Second
	pause        = time.Second
	// nodesLimit is how many nodes a caller may name.
	nodesLimit = 1000
)

// errSkip is a condition's answer where it makes no sense for a cluster.
var errSkip = errors.New("SKIP")

// Options tell how a control plane reaches its cluster.
type Options struct {
	// Nodes answers the cluster's nodes as discovery knows them.
	Nodes func(ctx context.Context) ([]Node, error)
	// Dial connects to the machine API of the node at that address, in the name of whom ctx is for. Calls must be made with
	// the context that it answers.
	Dial func(ctx context.Context, address string) (context.Context, *grpc.ClientConn, error)
	// Kubernetes answers a client of the API at the endpoint (a URL), or of the cluster's own where that is empty. The caller
	// closes it.
	Kubernetes func(endpoint string) (*kubeapi.Client, error)
	// Pause between two looks; 0 means the usual one.
	Pause time.Duration
}

// Register adds the service to a server.
func Register(registrar grpc.ServiceRegistrar, opts Options) {
	if opts.Pause == 0 {
		opts.Pause = pause
	}

	cluster.RegisterClusterServiceServer(registrar, &server{opts: opts})
}

type server struct {
	cluster.UnimplementedClusterServiceServer
	opts Options
}

// HealthCheck is part of cluster.ClusterServiceServer. It ends with nil once all conditions hold; otherwise the error names
// the one that did not.
func (s *server) HealthCheck(request *cluster.HealthCheckRequest, stream grpc.ServerStreamingServer[cluster.HealthCheckProgress]) error {
	wait := defaultWait

	if asked := request.GetWaitTimeout(); asked != nil {
		if wait = asked.AsDuration(); wait <= 0 {
			return status.Errorf(codes.InvalidArgument, "cannot wait for %s: name a time-out of more than nothing", wait)
		}
	}

	ctx, cancel := context.WithTimeout(stream.Context(), wait)
	defer cancel()

	tell := func(message string) error { return stream.Send(&cluster.HealthCheckProgress{Message: message}) }

	checked, err := s.opened(ctx, request.GetClusterInfo())
	if err != nil {
		return err
	}
	defer checked.close()

	if err := tell("discovered nodes: " + checked.String()); err != nil {
		return err
	}

	for _, condition := range conditions() {
		if err := condition.await(ctx, checked, s.opts.Pause, tell); err != nil {
			return err
		}
	}

	return nil
}

// condition is one thing that holds in a cluster that works.
type condition struct {
	name string
	// holds answers nil where it does, errSkip where it need not, and otherwise why it does not.
	holds func(ctx context.Context, c *checked) error
}

// await blocks until the condition holds, and tells of each change of why it does not.
func (c condition) await(ctx context.Context, checked *checked, pause time.Duration, tell func(string) error) error {
	ctx, cancel := context.WithTimeout(ctx, conditionLimit)
	defer cancel()

	told, state := "", "..."

	for {
		if line := fmt.Sprintf("waiting for %s: %s", c.name, state); line != told {
			if err := tell(line); err != nil {
				return err
			}

			told = line
		}

		if state == "OK" || state == errSkip.Error() {
			return nil
		}

		next := c.look(ctx, checked)
		if ctx.Err() != nil {
			return status.Errorf(codes.DeadlineExceeded, "waited for %s: %s", c.name, state)
		}

		if state = next; state == "OK" || state == errSkip.Error() {
			continue
		}

		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// look answers how the condition stands in one line.
func (c condition) look(ctx context.Context, checked *checked) string {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()

	err := c.holds(ctx, checked)

	switch {
	case err == nil:
		return "OK"
	case errors.Is(err, errSkip):
		return errSkip.Error()
	default:
		return err.Error()
	}
}

// conditions are in the order in which a cluster comes up, with Talos's names.
func conditions() []condition {
	return []condition{
		{"etcd to be healthy", etcdHealthy},
		{"etcd members to be consistent across nodes", etcdConsistent},
		{"etcd members to be control plane nodes", etcdOnControlPlanes},
		{"apid to be ready", apidReady},
		{"all nodes memory sizes", memorySizes},
		{"all nodes disk sizes", diskSizes},
		{"no diagnostics", noDiagnostics},
		{"kubelet to be healthy", kubeletHealthy},
		{"all nodes to finish boot sequence", booted},
		{"all k8s nodes to report", nodesReport},
		{"all control plane static pods to be running", staticPodsRun},
		{"all control plane components to be ready", componentsReady},
		{"all k8s nodes to report ready", nodesReady},
		{"kube-proxy to report ready", proxyReady},
		{"coredns to report ready", dnsReady},
		{"all k8s nodes to report schedulable", nodesSchedulable},
	}
}
