// Package netns runs tests in a network namespace of their own, where they may make interfaces and see nobody else's. It is
// for tests only.
package netns

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/bronze-os/bronze/test/need"
)

// inside is set in the environment of a test binary that runs in a namespace of its own.
const inside = "BRONZE_TEST_NETNS"

// Inside tells whether the test runs in a namespace of its own. Where it does not yet, Inside runs it there in a process
// of its own, reports how that went, and answers false: the caller has nothing left to do.
func Inside(t *testing.T) bool {
	t.Helper()

	if os.Getenv(inside) != "" {
		return true
	}

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}

	output, err := cmd.CombinedOutput()
	if len(output) == 0 {
		need.Missing(t, "cannot make a network namespace here: %v", err)
	}

	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}

	return false
}
