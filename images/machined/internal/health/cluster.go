package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	stateclient "github.com/cosi-project/runtime/pkg/state/protobuf/client"
	"github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// askedAtOnce bounds the nodes that are asked side by side.
const askedAtOnce = 8

// Node is one of the cluster.
type Node struct {
	// Addresses are all of its own; the machine API is asked at the first.
	Addresses    []netip.Addr
	ControlPlane bool
}

func (n Node) address() string { return n.Addresses[0].String() }

// checked is a cluster under examination.
type checked struct {
	opts  Options
	nodes []Node
	api   *kubeapi.Client
}

// opened is the cluster that the caller describes, or the one that the node knows.
func (s *server) opened(ctx context.Context, info *cluster.ClusterInfo) (*checked, error) {
	nodes, err := named(info)
	if err != nil {
		return nil, err
	}

	if len(nodes) == 0 {
		if nodes, err = s.opts.Nodes(ctx); err != nil {
			return nil, status.Errorf(codes.Unavailable, "discovering nodes: %v", err)
		}
	}

	nodes = slices.DeleteFunc(nodes, func(n Node) bool { return len(n.Addresses) == 0 })
	if !slices.ContainsFunc(nodes, func(n Node) bool { return n.ControlPlane }) {
		return nil, status.Error(codes.FailedPrecondition, "cannot check a cluster without a control plane: name its nodes as control_plane_nodes")
	}

	api, err := s.opts.Kubernetes(info.GetForceEndpoint())
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "connecting to Kubernetes: %v", err)
	}

	return &checked{opts: s.opts, nodes: nodes, api: api}, nil
}

// named are the nodes that a caller names.
func named(info *cluster.ClusterInfo) ([]Node, error) {
	if count := len(info.GetControlPlaneNodes()) + len(info.GetWorkerNodes()); count > nodesLimit {
		return nil, status.Errorf(codes.InvalidArgument, "cannot check %d nodes at once: name at most %d", count, nodesLimit)
	}

	var nodes []Node

	add := func(texts []string, controlPlane bool) error {
		for _, text := range texts {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return status.Errorf(codes.InvalidArgument, "cannot check node %q: name nodes by their IP addresses", text)
			}

			nodes = append(nodes, Node{Addresses: []netip.Addr{address}, ControlPlane: controlPlane})
		}

		return nil
	}

	return nodes, errors.Join(add(info.GetControlPlaneNodes(), true), add(info.GetWorkerNodes(), false))
}

func (c *checked) close() { c.api.Close() }

func (c *checked) String() string {
	return fmt.Sprintf("control plane: %q, worker: %q", addressesOf(c.controlPlanes()), addressesOf(c.workers()))
}

func (c *checked) controlPlanes() []Node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n Node) bool { return !n.ControlPlane })
}

func (c *checked) workers() []Node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n Node) bool { return n.ControlPlane })
}

func addressesOf(nodes []Node) []string {
	addresses := []string{}
	for _, node := range nodes {
		addresses = append(addresses, node.address())
	}

	return addresses
}

// peer is the machine API of one node.
type peer struct {
	node Node
	machine.MachineServiceClient
	state state.State
}

// each asks all nodes side by side. The error tells of all that did not do, in the order of the nodes.
func (c *checked) each(ctx context.Context, nodes []Node, ask func(ctx context.Context, p peer) error) error {
	errs := make([]error, len(nodes))

	var group errgroup.Group

	group.SetLimit(askedAtOnce)

	for i, node := range nodes {
		group.Go(func() error {
			errs[i] = c.ask(ctx, node, ask)
			return nil
		})
	}

	// No function of the group errs.
	_ = group.Wait()

	return oneLine(errs)
}

func (c *checked) ask(ctx context.Context, node Node, ask func(ctx context.Context, p peer) error) error {
	ctx, conn, err := c.opts.Dial(ctx, node.address())
	if err != nil {
		return fmt.Errorf("%s: %w", node.address(), err)
	}
	defer conn.Close()

	err = ask(ctx, peer{
		node:                 node,
		MachineServiceClient: machine.NewMachineServiceClient(conn),
		state:                state.WrapCore(stateclient.NewAdapter(v1alpha1.NewStateClient(conn))),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", node.address(), err)
	}

	return nil
}

// oneLine joins errors for a line of progress.
func oneLine(errs []error) error {
	var texts []string

	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}

	if len(texts) == 0 {
		return nil
	}

	return errors.New(strings.Join(texts, "; "))
}

// collected gathers what nodes answer, by their addresses.
type collected[T any] struct {
	mu  sync.Mutex
	all map[string]T
}

func (c *collected[T]) add(node Node, answer T) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.all == nil {
		c.all = map[string]T{}
	}

	c.all[node.address()] = answer
}
