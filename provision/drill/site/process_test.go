package site

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// steps is a shell that tells so many steps as bronze does, each of which writes a file when it is done, and other lines.
func steps(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell on this host")
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Dir = dir
	return command
}

const threeSteps = `
echo "plan: three steps" >&2
for i in 1 2 3; do
	echo "   0.$i s  step $i" >&2
	read -r go < fifo || exit 1
	touch done-$i
done`

func TestAProcessIsKilledAtTheStepThatItTold(t *testing.T) {
	dir := t.TempDir()
	// Nobody writes into the fifo: a process that were not killed would never end.
	if err := exec.CommandContext(t.Context(), "mkfifo", filepath.Join(dir, "fifo")).Run(); err != nil {
		t.Skip("there are no fifos on this host")
	}
	finished, err := dying(steps(t, dir, threeSteps), 1)
	if finished || err != nil {
		t.Errorf("finished %t, %v", finished, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "done-1")); err == nil {
		t.Error("it went on after its first step")
	}
}

func TestAProcessThatEndsBeforeIsFinished(t *testing.T) {
	script := `echo "   0.1 s  step" >&2; echo "0.1 s of talk" >&2; echo answer`
	if finished, err := dying(steps(t, t.TempDir(), script), 2); !finished || err != nil {
		t.Errorf("finished %t, %v", finished, err)
	}
}

func TestAProcessThatFailsTellsItsLastLines(t *testing.T) {
	failing := func() *exec.Cmd {
		return steps(t, t.TempDir(), `echo "error: cannot reconcile" >&2; exit 1`)
	}
	if finished, err := dying(failing(), 1); finished || err == nil || !strings.Contains(err.Error(), "cannot reconcile") {
		t.Errorf("finished %t, %v", finished, err)
	}
	if err := run(failing()); err == nil || !strings.Contains(err.Error(), "cannot reconcile") {
		t.Errorf("error %v", err)
	}
}

func TestOnlyLinesOfStepsAreSteps(t *testing.T) {
	for line, want := range map[string]bool{
		"   0.3 s  delete Kubernetes node dev-worker-1": true,
		" 123.4 s  await Ready dev-worker-3":            true,
		"failed: verify dev-worker-1 after 3.0 s":       false,
		"dev: 3 members, 2 alive":                       false,
		"error: 0.3 s  later":                           false,
	} {
		if isStep(line) != want {
			t.Errorf("isStep(%q) = %t", line, !want)
		}
	}
}
