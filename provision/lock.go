package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// lockSuffix follows the cluster's name in that of its lock.
const lockSuffix = ".lock"

// errHeld is what lockFile answers when another open file has the lock.
var errHeld = errors.New("lock is held")

// HeldError says that another process works on the cluster.
type HeldError struct {
	Cluster string
	// PID is the holder's process, 0 where it is not known.
	PID int
}

// Error names the holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("cannot work on cluster %q: process %d does", e.Cluster, e.PID)
}

// Lock is held on one cluster by one process. The kernel releases it when the process dies, whatever kills it.
type Lock struct {
	file *os.File
}

// Lock takes the cluster's lock, or answers at once with a *HeldError.
func (s *Store) Lock(name string) (*Lock, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, name+lockSuffix)
	for {
		lock, err := tryLock(path)
		if errors.Is(err, errHeld) {
			return nil, WithHint(&HeldError{Cluster: name, PID: holder(path)}, "wait until it is done, or stop it")
		}
		if lock != nil || err != nil {
			return lock, err
		}
	}
}

// Held runs act under the cluster's lock.
func (s *Store) Held(name string, act func() error) (err error) {
	lock, err := s.Lock(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	return act()
}

// tryLock answers nil and no error where the file was removed by its holder while it was opened here: the lock on it
// would keep nobody out.
func tryLock(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock: %w", err)
	}
	if err := lockFile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	mine, err := file.Stat()
	current, statErr := os.Stat(path)
	if err != nil || statErr != nil || !os.SameFile(mine, current) {
		return nil, file.Close()
	}
	_, err = file.WriteAt(fmt.Appendf(nil, "%-20d\n", os.Getpid()), 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write lock: %w", err), file.Close())
	}
	return &Lock{file: file}, nil
}

func holder(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return pid
}

// Release gives the lock back.
func (l *Lock) Release() error {
	// Removed while it is held, so that nobody's fresh lock is removed. Where a system keeps open files from being
	// removed, the file stays, which does no harm.
	_ = os.Remove(l.file.Name())
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("cannot release lock: %w", err)
	}
	return nil
}
