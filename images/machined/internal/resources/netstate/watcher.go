// Package netstate tells what the kernel knows of the node's network: its links, addresses, routes and rules, read over
// netlink and published as resources. It changes nothing, and knows nothing of who asks.
package netstate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// settle is how long a burst of changes, such as those of a pod's new link, is waited for to end before one look at all.
const settle = 50 * time.Millisecond

// messageSize is how many bytes of a message of the kernel are read; its content does not matter, only that it came.
const messageSize = 512

// Watcher notes that something in the node's network changed. Open makes one, Run lets it notice.
type Watcher struct {
	// Notice wakes at each change.
	publish.Notice

	messages *os.File
}

// Open begins to listen in the network namespace of the caller.
func Open() (*Watcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}

	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups()}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot follow changes of the network: %w", err)
	}

	return &Watcher{messages: os.NewFile(uintptr(fd), "netlink")}, nil
}

// groups are the multicast groups of the changes, as bits.
func groups() uint32 {
	var bits uint32

	for _, group := range []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
		unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	} {
		bits |= 1 << (group - 1)
	}

	return bits
}

// Run follows the kernel's messages and blocks until ctx ends. A Watcher runs once.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.messages.Close()

	stop := context.AfterFunc(ctx, func() { w.messages.Close() })
	defer stop()

	message := make([]byte, messageSize)

	for {
		_, err := w.messages.Read(message)
		if ctx.Err() != nil {
			return nil
		}

		// The kernel says so when it had more messages than room for them, which is a change like any.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("cannot follow changes of the network: %w", err)
		}

		if err := w.drain(message); err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot wait for changes of the network: %w", err)
		}

		w.Notify()
	}
}

// drain reads on for a while, so that what belongs together is seen together.
func (w *Watcher) drain(message []byte) error {
	if err := w.messages.SetReadDeadline(time.Now().Add(settle)); err != nil {
		return err
	}

	for {
		if _, err := w.messages.Read(message); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return w.messages.SetReadDeadline(time.Time{})
		}
	}
}
