// Package files walks, reads and packs the node's file system for the machine API. Whatever is in that file system, it
// takes little memory, and it never blocks for longer than the caller's context lives. It imports the standard library
// and x/sys only.
package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// batch is how many names of a directory are in memory at once. Names are in order within a batch.
const batch = 1024

// Unlimited is a depth that has no end.
const Unlimited = -1

// Entry is one thing that Walk came upon.
type Entry struct {
	// Path is absolute, Relative is below the root, which is ".".
	Path, Relative string
	// Depth is 0 for the root.
	Depth int
	// Info is of the entry itself, not of what a symbolic link leads to. It is nil where Err tells why it cannot be read;
	// a directory whose names cannot be read comes a second time, with both.
	Info fs.FileInfo
	// Link is where a symbolic link leads.
	Link string
	Err  error
}

// Walk calls visit for root and all that lies below it, down to a depth, each directory before what it holds. A root that
// is a symbolic link stands for what it leads to; other links are not followed. It ends with visit's first error, or
// when ctx does.
func Walk(ctx context.Context, root string, depth int, visit func(Entry) error) error {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}

	w := walker{ctx: ctx, depth: depth, visit: visit}

	return w.walk(Entry{Path: resolved, Relative: "."})
}

type walker struct {
	ctx   context.Context
	depth int
	visit func(Entry) error
}

func (w *walker) walk(entry Entry) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}

	entry.Info, entry.Err = os.Lstat(entry.Path)
	if entry.Err == nil && entry.Info.Mode()&fs.ModeSymlink != 0 {
		entry.Link, entry.Err = os.Readlink(entry.Path)
	}

	if err := w.visit(entry); err != nil {
		return err
	}

	if entry.Info == nil || !entry.Info.IsDir() || entry.Depth == w.depth {
		return nil
	}

	return w.below(entry)
}

func (w *walker) below(parent Entry) error {
	directory, err := os.Open(parent.Path)
	if err != nil {
		parent.Err = err
		return w.visit(parent)
	}
	defer directory.Close()

	for {
		names, err := directory.Readdirnames(batch)
		slices.Sort(names)

		for _, name := range names {
			child := Entry{
				Path:     filepath.Join(parent.Path, name),
				Relative: strings.TrimPrefix(filepath.Join(parent.Relative, name), "./"),
				Depth:    parent.Depth + 1,
			}
			if err := w.walk(child); err != nil {
				return err
			}
		}

		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			parent.Err = err
			return w.visit(parent)
		}
	}
}
