package contexts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bronze-os/bronze/provision"
)

const (
	// lockPatience is how long another program may hold a file's lock: kubectl holds it for milliseconds.
	lockPatience = 5 * time.Second
	lockPoll     = 20 * time.Millisecond
)

// locked runs do while it holds path's lock, the same one that kubectl takes: an empty file beside it, made exclusively.
func locked(ctx context.Context, path string, do func() error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of %s: %w", path, err)
	}
	lock := path + ".lock"
	if err := acquire(ctx, lock); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(lock)) }()
	return do()
}

func acquire(ctx context.Context, lock string) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		file, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return file.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return provision.WithHint(fmt.Errorf("cannot lock: %s is held by another program", lock),
				"if no kubectl or bronze is running, remove "+lock)
		case <-ticker.C:
		}
	}
}

// writeAtomically replaces the file at path, or what a symbolic link there points to, readable by its owner only.
func writeAtomically(path string, data []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of %s: %w", path, err)
	}
	return provision.WriteFile(path, data)
}
