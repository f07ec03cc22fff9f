package reaper_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/reaper"
)

func newReaper(t *testing.T) *reaper.Reaper {
	t.Helper()

	r := reaper.New()
	t.Cleanup(r.Close)

	return r
}

func TestRunAnswersOutputAndExitCode(t *testing.T) {
	r := newReaper(t)

	if output, err := r.Run(t.Context(), "/bin/sh", "-c", "echo out; echo err >&2"); err != nil || output != "out\nerr" {
		t.Errorf("Run = %q, %v", output, err)
	}

	output, err := r.Run(t.Context(), "/bin/sh", "-c", "echo why; exit 3")
	if err == nil || output != "why" || !strings.Contains(err.Error(), "exit code 3: why") {
		t.Errorf("Run = %q, %v", output, err)
	}

	if _, err := r.Run(t.Context(), "/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run = %v", err)
	}
}

func TestFastExitIsNeverMissed(t *testing.T) {
	r := newReaper(t)

	for range 100 {
		if _, err := r.Run(t.Context(), "/bin/true"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContextKillsTheProgram(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()

	if _, err := newReaper(t).Run(ctx, "/bin/sleep", "60"); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Run = %v", err)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	// PID 1 inherits orphans; a test has to ask for them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}

	output, err := newReaper(t).Run(t.Context(), "/bin/sh", "-c", "/bin/sleep 0.05 >/dev/null 2>&1 & echo $!")
	if err != nil {
		t.Fatal(err)
	}

	orphan, err := strconv.Atoi(output)
	if err != nil {
		t.Fatal(err)
	}

	// A zombie still takes signals; one that was reaped does not exist.
	for deadline := time.Now().Add(10 * time.Second); !errors.Is(unix.Kill(orphan, 0), unix.ESRCH); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d was never reaped", orphan)
		}

		<-time.After(5 * time.Millisecond)
	}
}
