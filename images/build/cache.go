package build

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kept is how many results of one name stay in the cache, the one just used among them.
const kept = 3

// cache is a directory of results: kind/name/key, where key is derived from everything that went in.
type cache struct {
	dir string
}

// result answers the directory of a key. On a miss fill makes its files in a new directory, which is renamed into place
// when all of it is there, so that an interrupted build leaves no half result.
func (c cache) result(kind, name, key string, fill func(dir string) error) (dir string, hit bool, err error) {
	parent := filepath.Join(c.dir, kind, name)
	dir = filepath.Join(parent, key)

	if now := time.Now(); os.Chtimes(dir, now, now) == nil {
		return dir, true, nil
	}

	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", false, err
	}

	scratch, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(scratch)

	if err := fill(scratch); err != nil {
		return "", false, err
	}

	if err := os.Rename(scratch, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", false, err
	}

	return dir, false, prune(parent)
}

// prune removes all but the results that were used last.
func prune(parent string) error {
	names, err := filepath.Glob(filepath.Join(parent, "[^.]*"))
	if err != nil {
		return err
	}

	used := map[string]time.Time{}

	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("cannot prune the cache: %w", err)
		}

		used[name] = info.ModTime()
	}

	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(used[b].Compare(used[a]), cmp.Compare(a, b))
	})

	var errs []error
	for _, name := range names[min(kept, len(names)):] {
		errs = append(errs, os.RemoveAll(name))
	}

	return errors.Join(errs...)
}
