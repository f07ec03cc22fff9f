package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// start runs a process that looks like a scheduler, and shows it in a directory like /proc that has no others. The
// channel is closed when it has ended.
func start(t *testing.T, proc string, env ...string) <-chan struct{} {
	t.Helper()

	command := exec.CommandContext(t.Context(), "sleep", "600")
	command.Args[0] = "/usr/local/bin/kube-scheduler"
	command.Env = env

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	ended := make(chan struct{})

	go func() {
		defer close(ended)
		_ = command.Wait()
	}()

	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})

	pid := strconv.Itoa(command.Process.Pid)
	if err := os.Symlink(filepath.Join("/proc", pid), filepath.Join(proc, pid)); err != nil {
		t.Fatal(err)
	}

	// The kernel tells of arguments a moment after it has begun the program.
	for {
		if text, err := os.ReadFile(filepath.Join("/proc", pid, "environ")); err != nil || len(text) > 0 {
			return ended
		}

		select {
		case <-ended:
			t.Fatal("the process has ended by itself")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestWhatWasStartedFromAnotherManifestEnds(t *testing.T) {
	dir := t.TempDir()

	content, err := testNode(t).scheduler().manifest("cp")
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "kube-scheduler.yaml"), content, 0o600); err != nil {
		t.Fatal(err)
	}

	mark := parsed(t, string(content)).Text("metadata", "annotations", manifestAnnotation)

	for _, tc := range []struct {
		name string
		env  []string
		ends bool
	}{
		{"another manifest", []string{"A=b", manifestVariable + "=other"}, true},
		{"this manifest", []string{manifestVariable + "=" + mark, "A=b"}, false},
		{"no manifest", []string{"A=b"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			proc := t.TempDir()
			ended := start(t, proc, tc.env...)

			if err := Renew(t.Context(), dir, proc); err != nil {
				t.Fatal(err)
			}

			select {
			case <-ended:
				if !tc.ends {
					t.Error("ended")
				}
			case <-time.After(endedWithin(tc.ends)):
				if tc.ends {
					t.Error("runs on")
				}
			}
		})
	}
}

// endedWithin is long where a process is to end, and short where it is not.
func endedWithin(ends bool) time.Duration {
	if ends {
		return time.Minute
	}

	return 50 * time.Millisecond
}

func TestManifestsThatCannotBeReadAreToldOf(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kube-scheduler.yaml"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := Renew(t.Context(), dir, t.TempDir()); err == nil {
		t.Error("no error")
	}
}
