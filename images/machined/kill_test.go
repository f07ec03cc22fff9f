package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sleeper runs a program of that name, which is this one's child.
func sleeper(t *testing.T, name string) *exec.Cmd {
	t.Helper()

	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(sleep, path); err != nil {
		t.Fatal(err)
	}

	command := exec.Command(path, "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})

	return command
}

func TestAServiceIsKilledByItsName(t *testing.T) {
	for name, wanted := range map[string]bool{
		"brz-kubelet": true, "brz-kubelet-2": false, "brz-kube": false, "brz-controller-manager": false,
	} {
		t.Run(name, func(t *testing.T) {
			command := sleeper(t, name)

			err := killService(os.Getpid(), "brz-kubelet")
			if (err == nil) != wanted {
				t.Fatalf("killService = %v", err)
			}

			if !wanted {
				return
			}

			_ = command.Wait()
			if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL {
				t.Errorf("it ended with %v", command.ProcessState)
			}
		})
	}
}

func TestALongNameIsKnownByItsBeginning(t *testing.T) {
	sleeper(t, "brz-controller-manager")

	if err := killService(os.Getpid(), "brz-controller-manager"); err != nil {
		t.Error(err)
	}
}

func TestOnlyChildrenAreKilled(t *testing.T) {
	sleeper(t, "brz-etcd")

	if err := killService(1, "brz-etcd"); err == nil {
		t.Error("another's child was killed")
	}
}

func TestArgumentsSayWhatIsToBeKilled(t *testing.T) {
	for name, test := range map[string]struct {
		args    []string
		service string
		asked   bool
	}{
		"a service":   {[]string{"init", "kill", "kubelet"}, "kubelet", true},
		"none":        {[]string{"init", "kill"}, "", false},
		"PID 1":       {[]string{"/sbin/init"}, "", false},
		"other words": {[]string{"init", "stop", "kubelet"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if service, asked := killing(test.args); service != test.service || asked != test.asked {
				t.Errorf("killing = %q, %t", service, asked)
			}
		})
	}
}
