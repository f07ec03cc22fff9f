package sysctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// record keeps, over a restart of machined, what the kernel had before the node set anything.
const record = "/run/engine/sysctls.json"

// Settings are the parameters that the machine config sets, by name. As a step, it sets those of the node's own
// namespaces, and gives parameters that are no longer among them the value that they had.
type Settings map[string]string

// Do tries every parameter; the error names all that could not be set.
func (s Settings) Do() error {
	before, err := load()
	if err != nil {
		return err
	}

	errs := []error{}

	for path, value := range before {
		if !s.sets(path) {
			errs = append(errs, write(path, value))
			delete(before, path)
		}
	}

	for _, name := range slices.Sorted(maps.Keys(s)) {
		if IsNodes(name) {
			errs = append(errs, set(name, s[name], before))
		}
	}

	return errors.Join(append(errs, save(before))...)
}

func (s Settings) sets(path string) bool {
	for name := range s {
		if own, err := pathOf(name); err == nil && own == path && IsNodes(name) {
			return true
		}
	}

	return false
}

func set(name, value string, before map[string]string) error {
	path, err := pathOf(name)
	if err != nil {
		return err
	}

	current, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot set sysctl %s: %w", name, err)
	}

	if _, kept := before[path]; !kept {
		before[path] = strings.TrimSpace(string(current))
	}

	return write(path, value)
}

func write(path, value string) error {
	if err := os.WriteFile(path, []byte(value+"\n"), 0); err != nil {
		return fmt.Errorf("cannot set a sysctl: %w", err)
	}

	return nil
}

func load() (map[string]string, error) {
	before := map[string]string{}

	text, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return before, nil
	}

	if err == nil {
		err = json.Unmarshal(text, &before)
	}

	if err != nil {
		return nil, fmt.Errorf("cannot read which sysctls the node has set: %w", err)
	}

	return before, nil
}

func save(before map[string]string) error {
	text, err := json.Marshal(before)
	if err != nil {
		return fmt.Errorf("cannot encode which sysctls the node has set: %w", err)
	}

	return rootfs.File{Path: record, Content: string(text), Mode: 0o600}.Do()
}
