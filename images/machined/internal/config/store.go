package config

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// Store holds the machine config of a running node: the one that the node follows, and the one that it keeps for its
// next boot, which is the same unless a config is tried or staged. Every reader asks it anew, because the config may
// change at any time. Open and New make one.
type Store struct {
	path string

	mu            sync.Mutex
	current, kept config.Provider
	// before is what the node followed before the config that it tries until deadline; nil while it tries none.
	before   config.Provider
	deadline time.Time
	changed  chan struct{}
}

// Open answers the machine config at path, or else the one in userData, which it then writes to path (mode 0600).
// userData is multi-document YAML, plain or in standard base64. ErrNone is in the error where there is neither.
func Open(path, userData string) (*Store, error) {
	current, err := load(path, userData)
	if err != nil {
		return nil, err
	}

	return newStore(path, current), nil
}

// New makes the store of a node that had no machine config, and keeps first at path.
func New(path string, first config.Provider) (*Store, error) {
	s := newStore(path, first)

	return s, s.write(first)
}

func newStore(path string, current config.Provider) *Store {
	return &Store{path: path, current: current, kept: current, changed: make(chan struct{})}
}

// Current is the config that the node is to follow now, never nil.
func (s *Store) Current() config.Provider {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.current
}

// Kept is the config that the node will boot with, never nil.
func (s *Store) Kept() config.Provider {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.kept
}

// Changed answers a channel that is closed at the next change of Current or Kept. Take it before these, so that no
// change is missed.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.changed
}

// Set makes next the current config, and keeps it over restarts of the node. It ends a try.
func (s *Store) Set(next config.Provider) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if err := s.write(next); err != nil {
		return err
	}

	s.current, s.kept, s.before = next, next, nil
	s.announce()

	return nil
}

// Stage keeps next for the next boot; until then nothing follows it.
func (s *Store) Stage(next config.Provider) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if err := s.write(next); err != nil {
		return err
	}

	s.kept = next
	s.announce()

	return nil
}

// Try makes next the current config for limit, and does not keep it: then, or when the node restarts, the config
// before is back, unless Set came. A try during a try goes back to what was before the first. Run ends it.
func (s *Store) Try(next config.Provider, limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.before == nil {
		s.before = s.current
	}

	s.current, s.deadline = next, time.Now().Add(limit)
	s.announce()
}

// Run ends tries whose time is over, and blocks until ctx ends.
func (s *Store) Run(ctx context.Context, log *slog.Logger) error {
	for {
		changed, left := s.trial()

		select {
		case <-changed:
		case <-left:
			if s.revert(time.Now()) {
				log.InfoContext(ctx, "the time to try a machine config is over: the one before it is back")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// trial answers a channel for the next change, and one for the end of the try under way, nil where there is none.
func (s *Store) trial() (changed <-chan struct{}, over <-chan time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.before == nil {
		return s.changed, nil
	}

	return s.changed, time.After(time.Until(s.deadline))
}

// revert ends the try if that is over by now, and tells whether it was.
func (s *Store) revert(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.before == nil || now.Before(s.deadline) {
		return false
	}

	s.current, s.before = s.before, nil
	s.announce()

	return true
}

// announce tells whoever waits on Changed; the caller holds the lock.
func (s *Store) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) write(next config.Provider) error {
	document, err := next.Bytes()
	if err != nil {
		return fmt.Errorf("cannot encode the machine config: %w", err)
	}

	return rootfs.File{Path: s.path, Content: string(document), Mode: 0o600}.Do()
}
