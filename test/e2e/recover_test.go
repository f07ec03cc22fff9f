//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// objects is how many are written at a time.
const objects = 20

// TestTheOnlyControlPlaneIsResurrected deletes it brutally, without its volumes, and has it brought back with all objects.
func TestTheOnlyControlPlaneIsResurrected(t *testing.T) {
	l := newLab(t, "e2e-resurrect")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))
	r := look(t, l)
	r.writeObjects(t, "before")

	r.removeMachines(t, false, 0)
	run(t, l.Bronze(t.Context(), "cluster", "reconcile", l.Cluster, "--now", "--missing", "resurrect"))

	r.checkObjects(t, "before")
	r.checkWorks(t)
	checkVoters(t, r.machineAPI(t), r.addresses()[:1], r.names()[:1])
}

// TestLossOfTheQuorum deletes two of three control planes, first without and then with their volumes: the one is undone by
// resurrecting them, the other only by a snapshot.
func TestLossOfTheQuorum(t *testing.T) {
	l := newLab(t, "e2e-quorum")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--controlplanes", "3", "--workers", "1")...))
	r := look(t, l)
	r.writeObjects(t, "first")

	t.Run("two are resurrected", func(t *testing.T) {
		r.removeMachines(t, false, 0, 1)
		refused(t, l.Bronze(t.Context(), "cluster", "reconcile", l.Cluster, "--now"), "--missing resurrect")
		refused(t, l.Bronze(t.Context(), "etcd", "recover", l.Cluster, "--yes"), "--missing resurrect")
		run(t, l.Bronze(t.Context(), "cluster", "reconcile", l.Cluster, "--now", "--missing", "resurrect"))
		r.checkObjects(t, "first")
		checkVoters(t, r.machineAPI(t), r.addresses()[:3], r.names()[:3])
		r.checkWorks(t)
	})
	t.Run("a paused one is not lost", func(t *testing.T) {
		docker(t, "pause", r.nodes[2].Name)
		refused(t, l.Bronze(t.Context(), "etcd", "recover", l.Cluster, "--yes"), "bronze cluster resume "+l.Cluster)
		docker(t, "unpause", r.nodes[2].Name)
	})
	t.Run("etcd is recovered from what the last one has", func(t *testing.T) {
		r.writeObjects(t, "second")
		r.removeMachines(t, true, 0, 2)
		refused(t, l.Bronze(t.Context(), "cluster", "reconcile", l.Cluster, "--now"), "bronze etcd recover "+l.Cluster)
		r.recoverKilled(t)
		r.checkObjects(t, "first")
		r.checkObjects(t, "second")
		r.checkRecovered(t)
	})
	t.Run("etcd is recovered from the snapshot that is kept", func(t *testing.T) {
		r.writeObjects(t, "third")
		r.removeMachines(t, true, 0, 1, 2)
		run(t, l.Bronze(t.Context(), "etcd", "recover", l.Cluster, "--yes"))
		// The snapshot was taken at the end of the recovery before.
		r.checkObjects(t, "second")
		if output, err := lab.Output(l.Kubectl(t.Context(), "get", "configmap", "third-1")); err == nil {
			t.Errorf("what was written after the snapshot is there: %s", output)
		}
		r.checkRecovered(t)
	})
}

// recoverKilled kills the recovery at the end of its first steps, and lets it run again to its end.
func (r running) recoverKilled(t *testing.T) {
	t.Helper()

	for _, step := range []string{"wipe " + r.nodes[1].Name, "create machine " + r.nodes[0].Name, "recover etcd on " + r.nodes[0].Name} {
		killAfter(t, r.Bronze(t.Context(), "etcd", "recover", r.Cluster, "--yes"), step)
	}

	run(t, r.Bronze(t.Context(), "etcd", "recover", r.Cluster, "--yes"))
}

// killAfter kills the command without warning as soon as it has told of the step.
func killAfter(t *testing.T, command *exec.Cmd, step string) {
	t.Helper()

	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	told := awaitLine(stderr, step)

	if err := errors.Join(command.Process.Kill(), drainPipe(stderr)); err != nil {
		t.Fatal(err)
	}

	// That it was killed is its error.
	_ = command.Wait()

	if !told {
		t.Fatalf("the command ended before %q", step)
	}
}

// removeMachines deletes machines brutally, by their place among the nodes, and their volumes where those are to go too.
func (r running) removeMachines(t *testing.T, volumes bool, places ...int) {
	t.Helper()

	for _, place := range places {
		docker(t, "rm", "--force", r.nodes[place].Name)

		if !volumes {
			continue
		}

		named, err := lab.Docker(t.Context(), "volume", "ls", "--quiet", "--filter", "label=bronze.node="+r.nodes[place].Name)
		if err != nil || len(named) == 0 {
			t.Fatalf("volumes of %s: %v, %v", r.nodes[place].Name, named, err)
		}

		docker(t, append([]string{"volume", "rm"}, named...)...)
	}
}

func (r running) writeObjects(t *testing.T, prefix string) {
	t.Helper()

	var manifest strings.Builder
	for i := range objects {
		fmt.Fprintf(&manifest, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s-%d}\ndata: {number: %q}\n---\n", prefix, i, strconv.Itoa(i))
	}

	command := r.Kubectl(t.Context(), "apply", "-f", "-")
	command.Stdin = strings.NewReader(manifest.String())
	run(t, command)
}

// checkObjects waits until the API serves, and then wants all objects as they were written.
func (r running) checkObjects(t *testing.T, prefix string) {
	t.Helper()

	for i := range objects {
		until(t, func(ctx context.Context) error {
			number, err := lab.Output(r.Kubectl(ctx, "get", "configmap", prefix+"-"+strconv.Itoa(i), "-o", "jsonpath={.data.number}", "--request-timeout", "5s"))
			if err == nil && number != strconv.Itoa(i) {
				err = fmt.Errorf("%s-%d holds %q", prefix, i, number)
			}

			return err
		})
	}
}

// checkWorks wants all nodes Ready, and a new pod to run on each.
func (r running) checkWorks(t *testing.T) {
	t.Helper()

	for _, node := range r.nodes {
		until(t, func(ctx context.Context) error { return r.nodeReady(ctx, node.Name) })
	}

	run(t, r.Kubectl(t.Context(), "-n", "kube-system", "rollout", "restart", "deployment/coredns"))
	run(t, r.Kubectl(t.Context(), "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout", patience.String()))
}

// checkRecovered wants three voters that agree, a working cluster, no trace of the recovery, and a snapshot of what it is now.
func (r running) checkRecovered(t *testing.T) {
	t.Helper()
	checkVoters(t, r.machineAPI(t), r.addresses()[:3], r.names()[:3])
	r.checkWorks(t)

	state := filepath.Join(r.StateDir(), "clusters", r.Cluster)
	if found, err := filepath.Glob(filepath.Join(state, "recovery.json")); err != nil || len(found) > 0 {
		t.Errorf("the recovery is not over: %v, %v", found, err)
	}

	if found, err := filepath.Glob(filepath.Join(state, "snapshots", "*.db")); err != nil || len(found) == 0 {
		t.Errorf("there is no snapshot of the recovered cluster: %v", err)
	}

	refused(t, r.Bronze(t.Context(), "etcd", "recover", r.Cluster, "--yes"), "bronze cluster reconcile "+r.Cluster)
}

// refused wants the command to fail, and to offer that.
func refused(t *testing.T, command *exec.Cmd, offer string) {
	t.Helper()

	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), offer) {
		t.Errorf("%v: error %v, want it refused with %q:\n%s", command.Args[1:], err, offer, output)
	}
}

// awaitLine reads until a line has the words, and tells whether one had.
func awaitLine(from io.Reader, words string) bool {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if strings.Contains(lines.Text(), words) {
			return true
		}
	}

	return false
}

func drainPipe(from io.Reader) error {
	_, err := io.Copy(io.Discard, from)

	return err
}
