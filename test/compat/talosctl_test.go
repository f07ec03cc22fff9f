//go:build e2e

package compat

import (
	"os/exec"
	"testing"

	"github.com/bronze-os/bronze/test/lab"
)

// talosctl is the real one, or nothing where there is none.
type talosctl struct {
	path string
	lab  lab.Lab
}

// findTalosctl says loudly when there is none. That is no failure: no registry that the tests may reach has it.
func findTalosctl(t *testing.T, l lab.Lab) talosctl {
	t.Helper()

	path, err := exec.LookPath("talosctl")
	if err != nil {
		t.Log("NOT RUN: there is no talosctl on PATH; every line goes through its client library alone")
	}

	return talosctl{path: path, lab: l}
}

func (c talosctl) run(t *testing.T, node string, l line) {
	t.Helper()

	if c.path == "" || len(l.talosctl) == 0 {
		return
	}

	args := append([]string{"--talosconfig", c.lab.Talosconfig(), "--context", c.lab.Cluster, "--nodes", node}, l.talosctl...)

	output, err := exec.CommandContext(t.Context(), c.path, args...).CombinedOutput()
	if (err != nil) != l.refused {
		t.Errorf("talosctl %q: %v\n%s", l.talosctl, err, output)
	}
}
