package rootfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

func TestStepsDoneTwiceAreDoneOnce(t *testing.T) {
	dir := t.TempDir()
	steps := []rootfs.Step{
		rootfs.Dir{Path: filepath.Join(dir, "a/b"), Mode: 0o755},
		rootfs.File{Path: filepath.Join(dir, "c/file"), Content: "text", Mode: 0o600},
		rootfs.Symlink{Path: filepath.Join(dir, "link"), Target: "c/file"},
	}

	for range 2 {
		if err := rootfs.Apply(steps); err != nil {
			t.Fatal(err)
		}
	}

	text, err := os.ReadFile(filepath.Join(dir, "link"))
	if err != nil || string(text) != "text" {
		t.Errorf("read %q, %v", text, err)
	}

	if info, err := os.Stat(filepath.Join(dir, "c/file")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	entries, err := os.ReadDir(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}

	if diff := cmp.Diff([]string{"file"}, names); diff != "" {
		t.Errorf("left beside the file: %s", diff)
	}
}

func TestApplyEndsAtTheFirstStepThatFails(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")

	err := rootfs.Apply([]rootfs.Step{
		rootfs.File{Path: taken, Content: "", Mode: 0o644},
		rootfs.Symlink{Path: taken, Target: "elsewhere"},
		rootfs.Dir{Path: filepath.Join(dir, "later"), Mode: 0o755},
	})
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("Apply = %v", err)
	}

	if _, err := os.Stat(filepath.Join(dir, "later")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("went on: %v", err)
	}
}

func TestOptionalMountMayBeRefused(t *testing.T) {
	mount := rootfs.Mount{Source: "none", Target: filepath.Join(t.TempDir(), "gone"), Type: "tmpfs"}

	if err := mount.Do(); err == nil {
		t.Error("mounted on nothing")
	}

	mount.Optional = true

	if err := mount.Do(); err != nil {
		t.Errorf("Do = %v", err)
	}
}

func TestAbsentFileIsGoneHoweverOften(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	for range 2 {
		if err := (rootfs.Absent{Path: path}).Do(); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}

	if err := (rootfs.Absent{Path: "/proc/self/stat"}).Do(); err == nil {
		t.Error("what cannot be removed is no error")
	}
}

func TestEmptyKeepsTheDirectoryItself(t *testing.T) {
	directory := t.TempDir()

	steps := []rootfs.Step{
		rootfs.File{Path: filepath.Join(directory, "lib/etcd/member/db"), Content: "x", Mode: 0o400},
		rootfs.Symlink{Path: filepath.Join(directory, "run"), Target: "/run"},
	}
	if err := rootfs.Apply(steps); err != nil {
		t.Fatal(err)
	}

	if err := rootfs.Empty(directory); err != nil {
		t.Fatal(err)
	}

	if left, err := os.ReadDir(directory); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}

	if err := rootfs.Empty(filepath.Join(directory, "none")); err == nil {
		t.Error("a directory that is not there was emptied")
	}
}
