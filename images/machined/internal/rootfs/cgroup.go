package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// unsharedVariable marks the second start of PID 1, which already has a cgroup namespace of its own.
const unsharedVariable = "MACHINED_CGROUP_NAMESPACE"

// UnifiedCgroups tells whether the node has the cgroup v2 hierarchy alone.
func UnifiedCgroups() bool {
	var stat unix.Statfs_t

	return unix.Statfs(cgroupRoot, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC
}

// SetupCgroups gives the node control groups that begin at its own. On cgroup v1 it does not return the first time:
// engines leave such containers in the host's cgroup namespace, one thread cannot change that for the others, and so
// it unshares and executes the program anew.
func SetupCgroups() error {
	if UnifiedCgroups() {
		return delegateUnified()
	}

	if os.Getenv(unsharedVariable) == "" {
		return unshareAndExecute()
	}

	return remountV1()
}

func unshareAndExecute() error {
	// Locked and never unlocked: the namespace is this thread's, and so must be the call to exec.
	runtime.LockOSThread()

	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("cannot make a cgroup namespace: %w", err)
	}

	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find machined's own file: %w", err)
	}

	return unix.Exec(self, os.Args, append(os.Environ(), unsharedVariable+"=1"))
}

// remountV1 replaces the engine's view of the v1 hierarchies, which shows the host's paths, by one that starts at the
// node's own groups.
func remountV1() error {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("cannot read the node's control groups: %w", err)
	}

	if err := unmountBelow(cgroupRoot); err != nil {
		return err
	}

	steps := []Step{Mount{Source: "tmpfs", Target: cgroupRoot, Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, Data: "mode=755"}}

	return Apply(append(steps, v1Mounts(string(groups))...))
}

// v1Mounts turns /proc/self/cgroup, lines of "ID:controllers:path", into mounts.
func v1Mounts(groups string) []Step {
	var steps []Step

	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}

		steps = append(steps, v1Mount(fields[1])...)
	}

	return steps
}

func v1Mount(controllers string) []Step {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

	if controllers == "" {
		dir := filepath.Join(cgroupRoot, "unified")

		return []Step{Dir{dir, 0o755}, Mount{Source: "cgroup2", Target: dir, Type: "cgroup2", Flags: flags, Optional: true}}
	}

	dir := filepath.Join(cgroupRoot, strings.TrimPrefix(controllers, "name="))
	steps := []Step{Dir{dir, 0o755}, Mount{Source: "cgroup", Target: dir, Type: "cgroup", Flags: flags, Data: controllers}}

	if names := strings.Split(controllers, ","); len(names) > 1 {
		for _, name := range names {
			steps = append(steps, Symlink{filepath.Join(cgroupRoot, name), controllers})
		}
	}

	return steps
}

// unmountBelow unmounts all that is mounted at root and below it, children first.
func unmountBelow(root string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("cannot read the mount table: %w", err)
	}

	var targets []string

	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && (fields[4] == root || strings.HasPrefix(fields[4], root+"/")) {
			targets = append(targets, fields[4])
		}
	}

	for _, target := range slices.Backward(targets) {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot unmount %s: %w", target, err)
		}
	}

	return nil
}

// delegateUnified lets the node's groups have children with limits: v2 forbids that to a group which holds processes,
// so PID 1 moves to a leaf first.
func delegateUnified() error {
	leaf := filepath.Join(cgroupRoot, "init")

	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return fmt.Errorf("cannot make control group %s: %w", leaf, err)
	}

	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return fmt.Errorf("cannot move to control group %s: %w", leaf, err)
	}

	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("cannot read the node's controllers: %w", err)
	}

	for _, name := range strings.Fields(string(controllers)) {
		control := filepath.Join(cgroupRoot, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("+"+name), 0o644); err != nil {
			return fmt.Errorf("cannot pass on controller %s: %w", name, err)
		}
	}

	return nil
}
