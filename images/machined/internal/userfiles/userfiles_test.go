package userfiles_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/userfiles"
	"github.com/bronze-os/bronze/test/need"
)

// inMountNamespace runs the test on a thread with a mount namespace of its own, which ends with the thread, and an empty
// /run.
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

		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS),
			unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""),
			unix.Mount("tmpfs", "/run", "tmpfs", 0, ""),
		} {
			if err != nil {
				t.Error(err)
				return
			}
		}

		test()
	}()

	<-done
}

func TestFilesFollowTheMachineConfig(t *testing.T) {
	root := t.TempDir()
	volume, etc := filepath.Join(root, "var"), filepath.Join(root, "etc")

	for _, path := range []string{filepath.Join(volume, "old"), filepath.Join(etc, "fixed")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte("before\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	file := func(path, op, content string) userfiles.File {
		return userfiles.File{Path: filepath.Join(root, path), Op: op, Content: content, Mode: 0o640}
	}

	inMountNamespace(t, func() {
		for _, tc := range []struct {
			name  string
			files []userfiles.File
			want  map[string]string
			wrong string
		}{
			{"create makes a file and its directory", []userfiles.File{file("var/a/new", "create", "x")}, map[string]string{"var/a/new": "x"}, ""},
			{"create again overwrites", []userfiles.File{file("var/a/new", "create", "y")}, map[string]string{"var/a/new": "y"}, ""},
			{"append adds", []userfiles.File{file("var/old", "append", "more\n")}, map[string]string{"var/old": "before\nmore\n"}, ""},
			{"append again adds nothing", []userfiles.File{file("var/old", "append", "more\n")}, map[string]string{"var/old": "before\nmore\n"}, ""},
			{"overwrite", []userfiles.File{file("var/old", "overwrite", "z")}, map[string]string{"var/old": "z"}, ""},
			{"append outside the volume", []userfiles.File{file("etc/fixed", "append", "more\n")}, map[string]string{"etc/fixed": "before\nmore\n"}, ""},
			{"overwrite outside the volume", []userfiles.File{file("etc/fixed", "overwrite", "z")}, map[string]string{"etc/fixed": "z"}, ""},
			{"no longer outside the volume", nil, map[string]string{"etc/fixed": "before\n", "var/old": "z"}, ""},
			{"create outside the volume", []userfiles.File{file("etc/new", "create", "")}, nil, "read-only outside"},
			{"overwrite of nothing", []userfiles.File{file("var/none", "overwrite", "")}, nil, "use op create"},
			{"append to nothing", []userfiles.File{file("etc/none", "append", "")}, nil, "use op create"},
			{"an op that is none", []userfiles.File{file("var/old", "delete", "")}, nil, "must be create, overwrite or append"},
			{
				"one that is wrong keeps none from being written",
				[]userfiles.File{file("etc/new", "create", ""), file("var/b", "create", "b")}, map[string]string{"var/b": "b"}, "etc/new",
			},
		} {
			err := userfiles.Files{Entries: tc.files, Volume: volume}.Do()
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s: Do = %v", tc.name, err)
			}

			got := map[string]string{}
			for path := range tc.want {
				text, _ := os.ReadFile(filepath.Join(root, path))
				got[path] = string(text)
			}

			if diff := cmp.Diff(tc.want, got); diff != "" && len(tc.want) > 0 {
				t.Errorf("%s: %s", tc.name, diff)
			}
		}

		if info, err := os.Stat(filepath.Join(volume, "b")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}
