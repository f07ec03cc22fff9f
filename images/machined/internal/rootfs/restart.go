package rootfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Restart starts PID 1 over as after a power cycle: every other process is killed, what lived in memory is gone, what
// is on volumes stays. It returns only if it cannot.
func Restart() error {
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
