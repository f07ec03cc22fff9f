// Package canary is what shows harm in Kubernetes: a StatefulSet with a pod on each of some nodes, which serves data from
// a volume of that node, and writes through the API that are acknowledged or not. It takes nothing that the cluster may
// lack: the image is the probe that every node brings, and the volumes are directories of the nodes, as there is no
// driver for others. Such a volume cannot move, so that it shows what it should: data survives where the node's own
// volumes do, and is lost with them; then its pod needs a new volume. It may import client-go and provision/kube, and no
// provider.
package canary

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/kube"
)

// Selector finds the namespace of a canary, in which all of it is but for the volumes, which bear the label too.
const Selector = "app=bronze-drill"

// Canary implements drill.Canary. Access is asked for where the API is whenever a connection was lost: an engine that
// chooses the host's ports may have chosen another.
type Canary struct {
	access func(context.Context) (provision.Access, error)
	image  string

	mu    sync.Mutex
	set   kubernetes.Interface
	close func()

	// nonce is in the data, so that what another run left does not count, and in the namespace's name: an empty namespace
	// takes Kubernetes seconds to end, which nobody need wait for. nodes has the node of each pod by its ordinal.
	nonce string
	nodes []string
}

// New makes a canary that is not planted yet. Image is the probe's, as the nodes have it.
func New(access func(context.Context) (provision.Access, error), image string) *Canary {
	return &Canary{access: access, image: image, nonce: fmt.Sprintf("%x", time.Now().UnixNano())}
}

// space is the canary's own namespace.
func (c *Canary) space() string { return "bronze-drill-" + c.nonce }

// Close ends the connections.
func (c *Canary) Close() error {
	c.drop()
	return nil
}

// api is a client of the API, made anew where the last one was dropped.
func (c *Canary) api(ctx context.Context) (kubernetes.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set != nil {
		return c.set, nil
	}
	access, err := c.access(ctx)
	if err != nil {
		return nil, err
	}
	config, err := kube.RESTConfig(access)
	if err != nil {
		return nil, err
	}
	// Contexts bound the requests, as some are a write of a moment and some a list of thousands.
	config.Timeout = 0
	// What the pods are is decided here, and no news to whoever runs the drill.
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot open the Kubernetes API: %w", err)
	}
	set, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("cannot open the Kubernetes API: %w", err)
	}
	c.set, c.close = set, client.CloseIdleConnections
	return set, nil
}

// drop forgets the connections. The next request makes one of its own and does not wait on one to a node that is gone.
func (c *Canary) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.close != nil {
		c.close()
	}
	c.set, c.close = nil, nil
}

// call does one request, and drops the connections where it got no answer.
func (c *Canary) call(ctx context.Context, do func(kubernetes.Interface) error) error {
	set, err := c.api(ctx)
	if err != nil {
		return err
	}
	err = do(set)
	var status apierrors.APIStatus
	if err != nil && !errors.As(err, &status) {
		c.drop()
	}
	return brief(ctx, err)
}

// persist does requests until they succeed or ctx ends, then with the last reason.
func persist(ctx context.Context, do func(ctx context.Context) error) error {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, requestLimit)
		err := do(limited)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// requestLimit bounds a request that is tried again.
const requestLimit = 10 * time.Second

// brief leaves out of a refusal what differs from one request to the next, so that equal reasons read equal.
func brief(ctx context.Context, err error) error {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	default:
		return fmt.Errorf("no answer: %w", innermost(err))
	}
}

func innermost(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}
