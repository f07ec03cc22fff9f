// Package addresses knows the IP addresses of the node, as the kernel tells them. It knows nothing of who asks.
package addresses

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// errSubscription ends Run when the kernel's messages stop.
var errSubscription = errors.New("cannot follow address changes: netlink closed")

// Watcher holds the node's addresses. Open makes one.
type Watcher struct {
	mu      sync.Mutex
	list    []netip.Prefix
	changed chan struct{}
}

// Open reads the addresses once; Run keeps them up to date.
func Open() (*Watcher, error) {
	list, err := read()
	if err != nil {
		return nil, err
	}

	return &Watcher{list: list, changed: make(chan struct{})}, nil
}

// List tells the addresses of global scope with the length of their networks, the oldest interface's first.
func (w *Watcher) List() []netip.Prefix {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Clone(w.list)
}

// Changed answers a channel that is closed at the next change. Take it before List, so that no change is missed.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.changed
}

// Run follows the kernel's messages and blocks until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	updates := make(chan netlink.AddrUpdate, 16)
	done := make(chan struct{})

	if err := netlink.AddrSubscribe(updates, done); err != nil {
		return fmt.Errorf("cannot follow address changes: %w", err)
	}

	err := w.follow(ctx, updates)

	close(done)
	// The subscription's goroutine ends only after its last message found a reader.
	for range updates {
	}

	return err
}

func (w *Watcher) follow(ctx context.Context, updates <-chan netlink.AddrUpdate) error {
	for {
		// The first look comes after the subscription, else a change between Open and Run is lost.
		if err := w.refresh(); err != nil {
			return err
		}

		select {
		case _, ok := <-updates:
			if !ok {
				return errSubscription
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Watcher) refresh() error {
	list, err := read()
	if err != nil {
		return err
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	if !slices.Equal(list, w.list) {
		w.list = list
		close(w.changed)
		w.changed = make(chan struct{})
	}

	return nil
}

func read() ([]netip.Prefix, error) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("cannot list addresses: %w", err)
	}

	slices.SortStableFunc(all, func(a, b netlink.Addr) int { return a.LinkIndex - b.LinkIndex })

	list := []netip.Prefix{}

	for _, address := range all {
		if address.Scope == unix.RT_SCOPE_UNIVERSE {
			list = append(list, prefix(address.IPNet))
		}
	}

	return slices.Compact(list), nil
}

func prefix(network *net.IPNet) netip.Prefix {
	ip, _ := netip.AddrFromSlice(network.IP)
	bits, _ := network.Mask.Size()

	return netip.PrefixFrom(ip.Unmap(), bits)
}
