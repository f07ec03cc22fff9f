package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Wipe empties the directories, which stay, after it has ended every other process of the node: none may hold or write
// what is to go. It does nothing where there are none.
func Wipe(directories []string) error {
	if len(directories) == 0 {
		return nil
	}

	if err := clearNode(); err != nil {
		return err
	}

	var errs []error

	for _, directory := range directories {
		errs = append(errs, Empty(directory))
	}

	return errors.Join(errs...)
}

// Empty removes all that is in a directory, and keeps that.
func Empty(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", directory, err)
	}

	var errs []error
	for _, entry := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(directory, entry.Name())))
	}

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot empty %s: %w", directory, err)
	}

	return nil
}

// Restart starts PID 1 over as after a power cycle: every other process is killed, what lived in memory is gone, what
// is on volumes stays. It returns only if it cannot.
func Restart() error {
	if err := clearNode(); err != nil {
		return err
	}

	for _, dir := range []string{"/run/containerd", "/run/netns", "/run/machined", "/run/flannel", "/system/secrets"} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot empty %s: %w", dir, err)
		}
	}

	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find machined's own file: %w", err)
	}

	return unix.Exec(self, os.Args, os.Environ())
}

// clearNode ends every other process and unmounts what they have mounted.
func clearNode() error {
	// To PID 1, -1 is every other process of the node.
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot end the node's processes: %w", err)
	}

	// Mounts of pods lie below these and would hide what the next run mounts.
	for _, dir := range []string{"/run/containerd", "/run/netns", "/run/machined", "/var/lib/kubelet", "/var/lib/containerd"} {
		if err := unmountBelow(dir); err != nil {
			return err
		}
	}

	return nil
}
