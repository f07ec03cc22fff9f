// Package labtest is package lab for tests: what goes wrong ends the test, and what a test leaves is taken away.
package labtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/need"
)

// Patience bounds each wait for a cluster that is up; a wait that is cut short says what was missing.
const Patience = time.Minute

// New makes the lab of a cluster for a test in a package two directories below the repository. It skips the test where
// a cluster cannot be made, and fails it there under CI. What the test leaves of the cluster is destroyed in the end.
func New(t *testing.T, cluster string) lab.Lab {
	t.Helper()

	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}

	for _, prerequisite := range []struct{ cure, command string }{
		{"hack/setup", "docker version"},
		{"make image", "docker image inspect " + NodeImage(t, root)},
		{"make image", "test -x " + root + "/bin/bronze -a -x " + root + "/bin/kubectl"},
	} {
		words := strings.Fields(prerequisite.command)
		if output, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			need.Missing(t, "run %s first: %s: %s", prerequisite.cure, prerequisite.command, output)
		}
	}

	l := lab.Lab{Root: root, Dir: t.TempDir(), Cluster: cluster}
	t.Cleanup(func() { cleanUp(t, l) })

	return l
}

func cleanUp(t *testing.T, l lab.Lab) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
	defer cancel()

	if owned, err := l.Owned(ctx); err != nil || len(owned) > 0 {
		_, err := lab.Output(l.Bronze(ctx, "cluster", "destroy", l.Cluster, "--force"))
		t.Logf("destroyed what the test had left (%v, %v)", owned, err)
	}
}

// imageVariable names a node image for the tests to use instead of the one that the manifest names.
const imageVariable = "BRONZE_TEST_IMAGE"

// Create is the command line that creates the cluster, ready for more flags.
func Create(cluster string) []string {
	arguments := []string{"cluster", "create", cluster}
	if image := os.Getenv(imageVariable); image != "" {
		arguments = append(arguments, "--image", image)
	}

	return arguments
}

// NodeImage reads the node image's reference from the manifest in the repository at root, as a user of it would.
func NodeImage(t *testing.T, root string) string {
	t.Helper()

	manifest, err := os.ReadFile(filepath.Join(root, "images/node/node.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	for line := range strings.Lines(string(manifest)) {
		if version, ok := strings.CutPrefix(line, "version: "); ok {
			return "bronze.local/node:" + strings.TrimSpace(version)
		}
	}

	t.Fatal("images/node/node.yaml names no version")

	return ""
}

// Run is lab.Output that ends the test on an error.
func Run(t *testing.T, command *exec.Cmd) string {
	t.Helper()

	output, err := lab.Output(command)
	if err != nil {
		t.Fatal(err)
	}

	return output
}

// Until is lab.Until within Patience; it ends the test on an error.
func Until(t *testing.T, holds func(context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()

	if err := lab.Until(ctx, holds); err != nil {
		t.Fatal(err)
	}
}
