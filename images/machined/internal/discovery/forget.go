package discovery

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// forgetLimit bounds how long the view may take, and then how long the servers may, side by side.
const forgetLimit = 2 * time.Second

// maxNodeID is in bytes; the servers' own bound.
const maxNodeID = 256

// Forget takes another node's affiliate from what this node publishes, has every server delete it, and blocks until both
// are done. A node that is alive announces itself again. All that can be asked have been even where the error, which has a
// gRPC status, is Unavailable: it names the control planes whose servers could not be, where the affiliate ends with its
// TTL. It is NotFound where this node knew none of that ID, and FailedPrecondition where that is its own.
func (c *Client) Forget(ctx context.Context, nodeID string) error {
	c.mu.Lock()
	current := c.talk
	c.mu.Unlock()

	switch {
	case nodeID == "" || len(nodeID) > maxNodeID:
		return status.Errorf(codes.InvalidArgument, "cannot forget an affiliate without its node ID, which has 1 to %d bytes", maxNodeID)
	case nodeID == c.opts.NodeID:
		return status.Error(codes.FailedPrecondition, "cannot forget this node itself while it lives: reset it instead, or name another node to ask")
	case current == nil:
		return status.Error(codes.FailedPrecondition, "cannot forget an affiliate: discovery is off in this node's machine config")
	}

	before, err := c.published(ctx)
	if err != nil {
		return status.Errorf(codes.Internal, "cannot forget an affiliate: %v", err)
	}

	// The view goes first: a server tells a node that lives at once that it is forgotten, and of its new announcement there
	// is no second word.
	if err := current.tellForgotten(ctx, nodeID); err != nil {
		return err
	}

	errand := errandOf(current.settings, before, nodeID, c.opts.Port)
	refused := current.delete(ctx, nodeID, errand)

	c.opts.Log.InfoContext(ctx, "asked to forget an affiliate", "affiliate", nodeID, "known", errand.known, "refused", refused)

	switch {
	case len(refused) > 0:
		return status.Errorf(codes.Unavailable, "cannot forget the affiliate everywhere, as not every discovery server answers: %s", strings.Join(refused, "; "))
	case !errand.known:
		return status.Errorf(codes.NotFound, "no affiliate has the node ID %q", nodeID)
	default:
		return nil
	}
}

// published are the affiliates that this node tells of, itself among them.
func (c *Client) published(ctx context.Context) ([]cluster.AffiliateSpec, error) {
	list, err := safe.StateListAll[*cluster.Affiliate](ctx, c.opts.State)
	if err != nil {
		return nil, err
	}

	var all []cluster.AffiliateSpec
	for one := range list.All() {
		all = append(all, *one.TypedSpec())
	}

	return all, nil
}

// errand is whom to ask when a node is to be forgotten.
type errand struct {
	// known is whether anybody has heard of the node.
	known bool
	// needed are the servers that must have been asked; any other is asked where it answers.
	needed []server
	// spared is the node's own server, which is gone with it.
	spared []server
}

func errandOf(set settings, affiliates []cluster.AffiliateSpec, nodeID string, port int) errand {
	var result errand

	for _, spec := range affiliates {
		if spec.NodeID == nodeID {
			result.known = true
		}

		if !spec.MachineType.IsControlPlane() || len(spec.Addresses) == 0 {
			continue
		}

		its := server{address: net.JoinHostPort(spec.Addresses[0].String(), strconv.Itoa(port))}
		if spec.NodeID == nodeID {
			result.spared = append(result.spared, its)
		} else {
			result.needed = append(result.needed, its)
		}
	}

	// A node that has heard of no control plane has the endpoint alone, behind which there is one.
	if len(result.needed) == 0 {
		result.needed = append(result.needed, server{address: set.own})
	}

	if set.extra.address != "" {
		result.needed = append(result.needed, set.extra)
	}

	// Its address may be another's by now.
	result.spared = slices.DeleteFunc(result.spared, func(s server) bool { return slices.Contains(result.needed, s) })

	return result
}

// delete asks all servers side by side, and answers of each that was needed and did not do it which it is and why.
func (t *talk) delete(ctx context.Context, nodeID string, errand errand) []string {
	ctx, cancel := context.WithTimeout(ctx, forgetLimit)
	defer cancel()

	var (
		asking  sync.WaitGroup
		mu      sync.Mutex
		refused []string
	)

	sessions := t.sessions()

	for to, s := range sessions {
		if slices.Contains(errand.spared, to) {
			continue
		}

		asking.Go(func() {
			if err := s.delete(ctx, nodeID); err != nil && slices.Contains(errand.needed, to) {
				mu.Lock()
				defer mu.Unlock()

				refused = append(refused, to.address+": "+status.Convert(err).Message())
			}
		})
	}

	asking.Wait()

	for _, to := range errand.needed {
		if sessions[to] == nil {
			refused = append(refused, to.address+": no connection")
		}
	}

	slices.Sort(refused)

	return slices.Compact(refused)
}

// tellForgotten takes the node from the view, and blocks until what is published is without it.
func (t *talk) tellForgotten(ctx context.Context, nodeID string) error {
	ctx, cancel := context.WithTimeout(ctx, forgetLimit)
	defer cancel()

	news := event{kind: isForgotten, ids: []string{nodeID}, published: make(chan struct{})}

	select {
	case t.events <- news:
	case <-ctx.Done():
		return errBusy()
	}

	select {
	case <-news.published:
		return nil
	case <-ctx.Done():
		return errBusy()
	}
}

func errBusy() error {
	return status.Error(codes.Aborted, "cannot tell whether the affiliate is forgotten: discovery begins anew; try again")
}
