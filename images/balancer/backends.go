package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// maxBackends bounds what a balancer looks at; etcd's own advice ends at seven members.
const maxBackends = 64

// parseBackends reads addresses without ports.
func parseBackends(texts []string) ([]netip.Addr, error) {
	if len(texts) == 0 || len(texts) > maxBackends {
		return nil, fmt.Errorf("cannot balance over %d backends: name 1 to %d addresses", len(texts), maxBackends)
	}

	var backends []netip.Addr

	for _, text := range texts {
		backend, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("cannot use backend %q: want an IP address", text)
		}

		backends = append(backends, backend)
	}

	return backends, nil
}

// lines has a line for each backend.
func lines(backends []netip.Addr) string {
	var text strings.Builder

	for _, backend := range backends {
		fmt.Fprintln(&text, backend)
	}

	return text.String()
}

// file keeps the backends that were set, a line each. It is on a volume, and so outlives a restart. The balancer that
// serves reads it whenever it looks at its backends: a second way to tell it would be one that can fail by itself.
type file struct {
	path string
}

func (f file) read() ([]netip.Addr, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the backends: %w", err)
	}

	return parseBackends(strings.Fields(string(text)))
}

// begin makes the backends those that are named, unless others were set before.
func (f file) begin(backends []string) error {
	if _, err := f.read(); err == nil {
		return nil
	}

	return f.set(backends)
}

// set replaces the file whole, so that no reader sees a half of it.
func (f file) set(texts []string) error {
	backends, err := parseBackends(texts)
	if err != nil {
		return err
	}

	draft := f.path + ".new"

	if err := os.WriteFile(draft, []byte(lines(backends)), 0o644); err != nil {
		return fmt.Errorf("cannot write the backends: %w", err)
	}

	if err := os.Rename(draft, f.path); err != nil {
		return fmt.Errorf("cannot write the backends: %w", err)
	}

	return nil
}

// follow answers, at each call, what the file holds at the time, and what it held last where it cannot be read. It may
// be called by many goroutines.
func (f file) follow() func() []netip.Addr {
	var (
		mu   sync.Mutex
		last []netip.Addr
	)

	return func() []netip.Addr {
		mu.Lock()
		defer mu.Unlock()

		if backends, err := f.read(); err == nil {
			last = backends
		}

		return last
	}
}
