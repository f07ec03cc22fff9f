package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is a directory that holds these files and no others, each written whole.
type Tree struct {
	Path string
	// Files are contents by path relative to the directory.
	Files map[string]string
	// Mode is that of each file.
	Mode fs.FileMode
	// Prefix leaves files whose names begin otherwise to others.
	Prefix string
}

// Do writes the files, then removes what is not among them.
func (t Tree) Do() error {
	if err := (Dir{Path: t.Path, Mode: 0o755}).Do(); err != nil {
		return err
	}

	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		if err := (File{Path: filepath.Join(t.Path, name), Content: t.Files[name], Mode: t.Mode}).Do(); err != nil {
			return err
		}
	}

	return t.prune()
}

func (t Tree) prune() error {
	var directories []string

	err := filepath.WalkDir(t.Path, func(path string, entry fs.DirEntry, err error) error {
		switch name := t.relative(path); {
		case err != nil:
			return err
		case entry.IsDir() && path != t.Path:
			directories = append(directories, path)
			return nil
		case entry.IsDir() || !strings.HasPrefix(name, t.Prefix):
			return nil
		default:
			if _, wanted := t.Files[name]; wanted {
				return nil
			}

			return os.Remove(path)
		}
	})
	if err != nil {
		return fmt.Errorf("cannot remove what is too much in %s: %w", t.Path, err)
	}

	return removeEmpty(directories)
}

func (t Tree) relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, t.Path), "/")
}

// removeEmpty removes those directories that hold nothing, deepest first: parents come before their children.
func removeEmpty(directories []string) error {
	for _, directory := range slices.Backward(directories) {
		entries, err := os.ReadDir(directory)
		if err == nil && len(entries) == 0 {
			err = os.Remove(directory)
		}

		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove directory %s: %w", directory, err)
		}
	}

	return nil
}
