// Package rootfs makes the file system of a node what its services expect, before any of them starts: mounts,
// directories, devices, control groups. What a container node needs is a table; one loop carries it out. It changes
// nothing outside the node's own mount and cgroup namespaces.
package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Step is one thing to be done to the file system. Doing it twice is doing it once.
type Step interface {
	// Do does it; its error names the path.
	Do() error
}

// Apply does the steps in their order and ends at the first that cannot be done.
func Apply(steps []Step) error {
	for _, step := range steps {
		if err := step.Do(); err != nil {
			return err
		}
	}

	return nil
}

// Dir is a directory, with its parents.
type Dir struct {
	Path string
	Mode fs.FileMode
}

// Do makes the directory.
func (d Dir) Do() error {
	if err := os.MkdirAll(d.Path, d.Mode); err != nil {
		return fmt.Errorf("cannot make directory %s: %w", d.Path, err)
	}

	return nil
}

// File is a small file, written whole. Parents are made.
type File struct {
	Path    string
	Content string
	Mode    fs.FileMode
}

// Do writes the file beside its place and renames it there, so that no reader meets half of it.
func (f File) Do() error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("cannot make directory for %s: %w", f.Path, err)
	}

	// The leading dot keeps the kubelet, which watches its manifest directory, from reading it too early.
	temporary := filepath.Join(filepath.Dir(f.Path), "."+filepath.Base(f.Path)+".new")

	if err := os.WriteFile(temporary, []byte(f.Content), f.Mode); err != nil {
		return fmt.Errorf("cannot write %s: %w", f.Path, err)
	}

	if err := os.Rename(temporary, f.Path); err != nil {
		return fmt.Errorf("cannot put %s in its place: %w", f.Path, err)
	}

	return nil
}

// Symlink is a symbolic link; what else lies at its path is an error.
type Symlink struct{ Path, Target string }

// Do makes the link.
func (s Symlink) Do() error {
	if target, err := os.Readlink(s.Path); err == nil && target == s.Target {
		return nil
	}

	if err := os.Symlink(s.Target, s.Path); err != nil {
		return fmt.Errorf("cannot link %s: %w", s.Path, err)
	}

	return nil
}

// CharDevice is a character device node.
type CharDevice struct {
	Path         string
	Major, Minor uint32
	Mode         uint32
}

// Do makes the device node where there is none.
func (c CharDevice) Do() error {
	err := unix.Mknod(c.Path, unix.S_IFCHR|c.Mode, int(unix.Mkdev(c.Major, c.Minor)))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make device %s: %w", c.Path, err)
	}

	return nil
}

// Mount is a mount(2) call. With Optional, a kernel that refuses it is passed over.
type Mount struct {
	Source, Target, Type string
	Flags                uintptr
	Data                 string
	Optional             bool
}

// Do mounts.
func (m Mount) Do() error {
	err := unix.Mount(m.Source, m.Target, m.Type, m.Flags, m.Data)
	if err != nil && !m.Optional {
		return fmt.Errorf("cannot mount %s: %w", m.Target, err)
	}

	return nil
}

// Cover hides a file that is the host's or the image's under one of the node's own, for readers and writers inside the
// node alike.
type Cover struct {
	Path, Content string
}

// coverDir holds the files that Covers show instead.
const coverDir = "/run/machined/covers"

// Do writes the file and binds it over the path. A kernel without that path has nothing to hide.
func (c Cover) Do() error {
	if _, err := os.Stat(c.Path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	// A cover of an earlier run, before a reboot, goes first: its file is gone, and nothing binds over that.
	for unix.Unmount(c.Path, unix.MNT_DETACH) == nil {
	}

	file := filepath.Join(coverDir, c.Path)
	if err := (File{Path: file, Content: c.Content, Mode: 0o644}).Do(); err != nil {
		return err
	}

	return Mount{Source: file, Target: c.Path, Flags: unix.MS_BIND}.Do()
}
