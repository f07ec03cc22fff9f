//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bronze-os/bronze/provision/drill"
	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/need"
)

// TestDrills runs every drill as its user would, and leaves the report in build/drills.
func TestDrills(t *testing.T) {
	l := newLab(t, "drill-3-2")
	small := newLab(t, "drill-1-1")
	report := filepath.Join(l.Root, "build", "drills")
	args := []string{"drill", "run", "--all", "--report", report}

	restart := filepath.Join(l.Root, "hack", "engine-restart")
	if output, err := exec.CommandContext(t.Context(), restart, "--check").CombinedOutput(); err == nil {
		args = append(args, "--engine-restart", restart)
	} else {
		t.Run("engine-restart", func(t *testing.T) { need.Missing(t, "no engine here may be restarted: %s", output) })
	}

	if image := os.Getenv("BRONZE_TEST_IMAGE"); image != "" {
		args = append(args, "--image", image)
	}

	output, err := lab.Output(l.Bronze(t.Context(), args...))
	t.Logf("%s", output)

	if err != nil {
		t.Error(err)
	}

	for _, run := range drills(t, report) {
		t.Run(run.Name, func(t *testing.T) { checkDrill(t, run) })
	}

	for _, own := range []lab.Lab{l, small} {
		if owned, err := own.Owned(t.Context()); err != nil || len(owned) > 0 {
			t.Errorf("left of %s: %v, %v", own.Cluster, owned, err)
		}
	}
}

func drills(t *testing.T, dir string) []drill.Run {
	t.Helper()

	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}

	var report drill.Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}

	if want := len(drill.Catalog()); len(report.Runs) != want {
		t.Errorf("the report has %d drills of %d", len(report.Runs), want)
	}

	return report.Runs
}

// checkDrill wants a drill to have passed, with a canary that sang.
func checkDrill(t *testing.T, run drill.Run) {
	if run.Verdict == drill.Skipped {
		t.Skip(run.Reason)
	}

	if run.Verdict != drill.Passed {
		t.Fatal(run.Reason)
	}

	if run.Writes.Acknowledged == 0 || len(run.Writes.Lost) > 0 || len(run.Lanes) == 0 {
		t.Errorf("%d writes, %d lost, %d nodes seen", run.Writes.Acknowledged, len(run.Writes.Lost), len(run.Lanes))
	}
}
