package config

import (
	"fmt"
	"sync"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// Store holds the machine config of a running node. Open makes one; every reader asks it anew, because the config may
// change at any time.
type Store struct {
	path string

	mu      sync.Mutex
	current config.Provider
	changed chan struct{}
}

// Open answers the machine config at path, or else the one in userData, which it then writes to path (mode 0600).
// userData is multi-document YAML, plain or in standard base64. ErrNone is in the error where there is neither.
func Open(path, userData string) (*Store, error) {
	current, err := load(path, userData)
	if err != nil {
		return nil, err
	}

	return &Store{path: path, current: current, changed: make(chan struct{})}, nil
}

// Current is the config that the node is to follow now, never nil.
func (s *Store) Current() config.Provider {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.current
}

// Changed answers a channel that is closed at the next Set. Take it before Current, so that no change is missed.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.changed
}

// Set makes next the current config, and keeps it over restarts of the node.
func (s *Store) Set(next config.Provider) error {
	document, err := next.Bytes()
	if err != nil {
		return fmt.Errorf("cannot encode the machine config: %w", err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	if err := (rootfs.File{Path: s.path, Content: string(document), Mode: 0o600}).Do(); err != nil {
		return err
	}

	s.current = next
	close(s.changed)
	s.changed = make(chan struct{})

	return nil
}
