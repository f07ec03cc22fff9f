// Package discovery makes a node known to the others and them to it, as Talos does, without a service outside: it
// announces the node to every control plane's server, sealed with the cluster's secret, merges what all of them say, and
// publishes the result as affiliates and members. No server's word alone takes a node away that another still knows. It
// may import the rooms of seals and of published resources; the server is a room of its own.
package discovery

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
)

// Addresses tells the node's addresses and when they change.
type Addresses interface {
	List() []netip.Prefix
	Changed() <-chan struct{}
}

// Config is the node's machine config, which may change at any time.
type Config interface {
	Current() config.Provider
	Changed() <-chan struct{}
}

// Options tell who the node is and where the others are.
type Options struct {
	// NodeID tells the node from every other, one of the same name included.
	NodeID   string
	Hostname string
	// Version is Bronze's, with a leading v.
	Version string
	// IP is the node's main address.
	IP        netip.Addr
	Addresses Addresses
	Config    Config
	// Roots answers how to call a server without showing a certificate: one of the cluster, or a public one.
	Roots func(public bool) (*tls.Config, error)
	// Port is the cluster's servers'; 0 means the usual one.
	Port int
	// KnownPath is the file that remembers the control planes.
	KnownPath string
	State     state.State
	Log       *slog.Logger
}

// Client is the node's part in discovery. New makes one; it does nothing until it runs.
type Client struct {
	opts Options

	mu   sync.Mutex
	talk *talk
}

// New makes a client.
func New(opts Options) *Client {
	if opts.Port == 0 {
		opts.Port = boot.DiscoveryPort
	}

	return &Client{opts: opts}
}

// Leave has the servers forget this node at once instead of after its TTL, and blocks until those that can be asked
// have, or ctx ends. It is for a node that goes and does not come back soon.
func (c *Client) Leave(ctx context.Context) error {
	c.mu.Lock()
	current := c.talk
	c.mu.Unlock()

	if current == nil {
		return nil
	}

	return current.farewell(ctx)
}

// Run announces the node and publishes all that it hears, until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	known, err := loadKnown(c.opts.KnownPath, time.Now())
	if err != nil {
		// The file only saves time; without it the cluster's endpoint is asked.
		c.opts.Log.WarnContext(ctx, "starting without the known control planes", "error", err)
	}

	run := &run{Client: c, known: known, view: newView(ttl.Default)}
	defer run.end()

	var published chan struct{}

	for {
		configured, moved := c.opts.Config.Changed(), c.opts.Addresses.Changed()

		if err := run.catchUp(ctx); err != nil {
			return err
		}

		if published != nil {
			close(published)
			published = nil
		}

		timer := time.NewTimer(run.rest(time.Now()))

		select {
		case news := <-run.events():
			run.view.apply(news, time.Now())
			published = news.published
		case <-configured:
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}

		timer.Stop()
	}
}

// run is what one Run knows.
type run struct {
	*Client

	known []controlPlane
	view  *view
	told  string
}

// catchUp brings everything to what is known now.
func (r *run) catchUp(ctx context.Context) error {
	cfg := r.opts.Config.Current()

	set, err := settingsOf(cfg, r.opts.Port)
	r.complain(ctx, err)

	r.adopt(ctx, set)

	r.view.expire(time.Now())

	others := r.view.affiliates()
	if !set.enabled {
		return r.opts.publish(ctx, set, nil, nil)
	}

	self := r.opts.self(cfg, r.opts.Addresses.List())

	if set.service {
		if err := r.talk.self.set(set.secret, self); err != nil {
			return fmt.Errorf("announcing this node: %w", err)
		}

		r.reach(ctx, set, controlPlanes(self, others), time.Now())
	}

	return r.opts.publish(ctx, set, &self, others)
}

// adopt begins to talk anew where the settings ask for it.
func (r *run) adopt(ctx context.Context, set settings) {
	if r.talk != nil && r.talk.settings.sameTalk(set) {
		return
	}

	if r.talk != nil && !set.service {
		if err := r.Leave(ctx); err != nil {
			r.opts.Log.InfoContext(ctx, "left discovery without a farewell to all", "error", err)
		}
	}

	strangers := r.talk == nil || !set.service || r.talk.settings.clusterID != set.clusterID

	r.end()

	// Who is of another cluster, or not to be known any more, goes at once; others stay until they are heard of again.
	if strangers {
		r.view = newView(set.ttl)
	}

	r.view.ttl = set.ttl
	for server := range r.view.servers {
		r.view.disconnect(server, time.Now())
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	r.talk = nil
	if set.service {
		r.talk = newTalk(set, r.newLink)
	}
}

// reach talks to all servers that there are, and remembers where they are.
func (r *run) reach(ctx context.Context, set settings, present []netip.Addr, now time.Time) {
	known := remember(r.known, present, now)

	if !reflect.DeepEqual(known, r.known) {
		// The file only saves time; a node that cannot write it goes on.
		if err := saveKnown(r.opts.KnownPath, known); err != nil {
			r.opts.Log.WarnContext(ctx, "the control planes will be forgotten at the next restart", "error", err)
		}

		r.known = known
	}

	for _, ended := range r.talk.with(ctx, servers(set, known, r.opts.Port)) {
		r.view.disconnect(ended.address, now)
	}
}

func (r *run) newLink(t *talk, to server) *link {
	return &link{
		to: to, roots: r.opts.Roots, events: t.events, log: r.opts.Log, told: map[string]bool{},
		begin: func() *session {
			return &session{
				config: t.settings, self: t.self, nodeID: r.opts.NodeID, version: "bronze " + r.opts.Version,
				absent: make(chan struct{}, 1),
			}
		},
	}
}

// events is nil where nobody is talked to.
func (r *run) events() <-chan event {
	if r.talk == nil {
		return nil
	}

	return r.talk.events
}

// rest is how long there is nothing to do by itself.
func (r *run) rest(now time.Time) time.Duration {
	if next, ok := r.view.next(); ok {
		return next.Sub(now)
	}

	return forgetAfter
}

// complain tells once of each thing that is wrong with the machine config.
func (r *run) complain(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}

	if text != r.told && text != "" {
		r.opts.Log.WarnContext(ctx, "discovery is not as the machine config wants it", "error", err)
	}

	r.told = text
}

func (r *run) end() {
	if r.talk != nil {
		r.talk.end()
	}
}
