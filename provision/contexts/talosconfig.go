package contexts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
)

func (f Files) addTalosconfig(ctx context.Context, book *ledger, data []byte) error {
	ours, err := clientconfig.FromBytes(data)
	if err != nil {
		return err
	}
	path, err := f.Environ.talosconfigPath()
	if err != nil {
		return err
	}
	return locked(ctx, path, func() error {
		theirs, err := readTalosconfig(path)
		if err != nil {
			return err
		}
		previous := theirs.Context
		name := mergeTalosconfig(theirs, ours, book.Talosconfig)
		theirs.Context = f.current(name, previous, book.Talosconfig)
		merged := entry{Path: path, Context: name, Previous: previous, CA: theirs.Contexts[name].CA}
		book.Talosconfig = book.Talosconfig.followedBy(merged)
		if err := book.write(); err != nil {
			return err
		}
		return writeTalosconfig(path, theirs)
	})
}

func (f Files) removeTalosconfig(ctx context.Context, book ledger) error {
	path := book.Talosconfig.Path
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return locked(ctx, path, func() error {
		theirs, err := readTalosconfig(path)
		if err != nil || !removeMerged(theirs, book.Talosconfig) {
			return err
		}
		if book.Talosconfig.made(path) && len(theirs.Contexts) == 0 {
			return os.Remove(path)
		}
		return writeTalosconfig(path, theirs)
	})
}

func readTalosconfig(path string) (*clientconfig.Config, error) {
	empty := &clientconfig.Config{Contexts: map[string]*clientconfig.Context{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the talosconfig: %w", err)
	}
	config, err := clientconfig.FromBytes(data)
	if errors.Is(err, io.EOF) {
		return empty, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot parse %s: %w", path, err)
	}
	return config, nil
}

func writeTalosconfig(path string, config *clientconfig.Config) error {
	data, err := config.Bytes()
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", path, err)
	}
	return writeAtomically(path, data)
}

// mergeTalosconfig puts our one context into theirs in place of the one that was merged before, makes it current, and
// returns its name: with a number where somebody else's context has it.
func mergeTalosconfig(theirs, ours *clientconfig.Config, before entry) string {
	removeMerged(theirs, before)
	// A context with the very authority of this cluster is ours too, whatever became of the ledger.
	if same, there := theirs.Contexts[ours.Context]; there && same.CA == ours.Contexts[ours.Context].CA {
		delete(theirs.Contexts, ours.Context)
	}
	theirs.Merge(ours)
	return theirs.Context
}

// removeMerged takes away the context that was merged, if it still has the authority that it was merged with, and tells
// whether it did.
func removeMerged(config *clientconfig.Config, merged entry) bool {
	found, there := config.Contexts[merged.Context]
	if !there || found.CA != merged.CA {
		return false
	}
	delete(config.Contexts, merged.Context)
	if config.Context == merged.Context {
		config.Context = ""
		if _, there := config.Contexts[merged.Previous]; there {
			config.Context = merged.Previous
		}
	}
	return true
}
