package rootfs_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
	"github.com/bronze-os/bronze/test/need"
)

// inMountNamespace runs the test on a thread with a mount namespace of its own, which ends with the thread.
func inMountNamespace(t *testing.T, test func()) {
	t.Helper()

	if os.Geteuid() != 0 {
		need.Missing(t, "making a mount namespace needs root")
	}

	done := make(chan struct{})

	go func() {
		defer close(done)

		// Never unlocked: the thread must not serve other goroutines afterwards.
		runtime.LockOSThread()

		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Error(err)
			return
		}

		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			t.Error(err)
			return
		}

		test()
	}()

	<-done
}

func TestCoverHidesAFileAlsoAfterItsOwnIsGone(t *testing.T) {
	hidden := filepath.Join(t.TempDir(), "hidden")
	if err := os.WriteFile(hidden, []byte("the host's"), 0o644); err != nil {
		t.Fatal(err)
	}

	inMountNamespace(t, func() {
		// The covers' own files lie below /run, which is the host's here.
		if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
			t.Error(err)
			return
		}

		for _, content := range []string{"first", "second"} {
			if err := (rootfs.Cover{Path: hidden, Content: content}).Do(); err != nil {
				t.Error(err)
				return
			}

			if text, err := os.ReadFile(hidden); err != nil || string(text) != content {
				t.Errorf("read %q, %v, want %q", text, err, content)
			}

			if err := os.RemoveAll("/run/machined"); err != nil {
				t.Error(err)
			}
		}
	})

	if text, err := os.ReadFile(hidden); err != nil || string(text) != "the host's" {
		t.Errorf("outside: %q, %v", text, err)
	}
}

func TestNothingIsMadeWhereThereIsNothingToHide(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")

	if err := (rootfs.Cover{Path: path, Content: "text"}).Do(); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("made: %v", err)
	}
}
