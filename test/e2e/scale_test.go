//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// allRunning are the states of nodes that all run.
func allRunning(names ...string) map[string]picture.State {
	all := map[string]picture.State{}
	for _, name := range names {
		all[name] = picture.Running
	}

	return all
}

// TestNodesComeAndGo grows a cluster and shrinks it, adopts a node that was made by hand, and loses the state directory.
func TestNodesComeAndGo(t *testing.T) {
	l := newLab(t, "e2e-scale")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))

	r := look(t, l)
	first, one, two, three, four := "e2e-scale-controlplane-1", "e2e-scale-worker-1", "e2e-scale-worker-2", "e2e-scale-worker-3", "e2e-scale-worker-4"

	t.Run("three are added", func(t *testing.T) {
		run(t, l.Bronze(t.Context(), "node", "add", l.Cluster, "--count", "3"))
		r.wantReady(t, one, two, three, four)
		r.wantStates(t, allRunning(first, one, two, three, four))
	})
	t.Run("two are removed", func(t *testing.T) {
		run(t, l.Bronze(t.Context(), "node", "remove", two, three))
		r.wantStates(t, allRunning(first, one, four))
		r.wantNoTrace(t, two, three)
	})
	t.Run("one that was made by hand is adopted", func(t *testing.T) {
		r.makeWorker(t)
		run(t, l.Bronze(t.Context(), "node", "add", l.Cluster, "--adopt"))
		r.wantStates(t, allRunning(first, one, two, four))
	})
	t.Run("the state directory is lost", func(t *testing.T) {
		if err := os.RemoveAll(l.StateDir()); err != nil {
			t.Fatal(err)
		}

		run(t, l.Bronze(t.Context(), "node", "add", l.Cluster, "--memory", "1GiB"))
		r.wantReady(t, three)
		r.wantStates(t, allRunning(first, one, two, three, four))
		run(t, l.Bronze(t.Context(), "node", "remove", two, three, four))
		r.wantNoTrace(t, two, three, four)
	})
}

// wantReady does not wait: who was added is Ready.
func (r running) wantReady(t *testing.T, names ...string) {
	t.Helper()

	for _, name := range names {
		if err := r.nodeReady(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

// wantNoTrace asks each source itself for what is left of nodes that were removed.
func (r running) wantNoTrace(t *testing.T, names ...string) {
	t.Helper()

	machineAPI := r.addresses()[0]

	for what, command := range map[string]func(context.Context) *exec.Cmd{
		"containers": dockerCommand("ps", "--all", "--format", "{{.Names}}"),
		"volumes":    dockerCommand("volume", "ls", "--format", "{{.Name}}"),
		"the desired state": func(ctx context.Context) *exec.Cmd {
			return r.Bronze(ctx, "cluster", "show", r.Cluster, "-o", "json")
		},
		"Nodes and pods": func(ctx context.Context) *exec.Cmd {
			return r.Kubectl(ctx, "get", "nodes,pods", "--all-namespaces", "-o", "wide")
		},
		"affiliates": func(ctx context.Context) *exec.Cmd { return r.Bronze(ctx, "get", "affiliates", "-n", machineAPI) },
		"members":    func(ctx context.Context) *exec.Cmd { return r.Bronze(ctx, "get", "members", "-n", machineAPI) },
		"the members of etcd": func(ctx context.Context) *exec.Cmd {
			return r.Bronze(ctx, "etcd", "members", "-n", machineAPI)
		},
	} {
		if err := knowsNone(command(t.Context()), names); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	// What belongs to a Node goes by garbage collection, whose leader may have been on a control plane that was removed.
	until(t, func(ctx context.Context) error {
		return knowsNone(r.Kubectl(ctx, "get", "leases,csinodes", "--all-namespaces", "-o", "name"), names)
	})
}

func dockerCommand(args ...string) func(context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "docker", args...) }
}

// knowsNone wants none of the names in what the command prints.
func knowsNone(command *exec.Cmd, names []string) error {
	output, err := lab.Output(command)
	if err != nil {
		return err
	}

	for _, name := range names {
		if strings.Contains(output, name) {
			return fmt.Errorf("%s is known still:\n%s", name, output)
		}
	}

	return nil
}

// TestControlPlanesComeAndGo grows etcd from one member to three and shrinks it to one, which is not the first, while a
// writer writes: what it was told is written stays written.
func TestControlPlanesComeAndGo(t *testing.T) {
	l := newLab(t, "e2e-grow")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))

	r := look(t, l)
	writer := write(t, r.kubernetesWriter(t))
	writer.await(t)

	run(t, l.Bronze(t.Context(), "node", "add", l.Cluster, "--role", "controlplane", "--count", "2"))
	writer.await(t)
	r.wantStates(t, allRunning("e2e-grow-controlplane-1", "e2e-grow-controlplane-2", "e2e-grow-controlplane-3", "e2e-grow-worker-1"))

	run(t, l.Bronze(t.Context(), "node", "remove", "e2e-grow-controlplane-1", "e2e-grow-controlplane-2"))
	writer.await(t)
	r.wantStates(t, allRunning("e2e-grow-controlplane-3", "e2e-grow-worker-1"))
	look(t, l).wantNoTrace(t, "e2e-grow-controlplane-1", "e2e-grow-controlplane-2")

	acknowledged, gap := writer.stop()
	t.Logf("%d writes, the longest gap between two was %s", len(acknowledged), gap)

	for _, key := range acknowledged {
		if err := writer.target.read(t.Context(), key); err != nil {
			t.Errorf("%s was acknowledged, and is lost: %v", key, err)
		}
	}
}

// killed is one command of the walk below.
type killed struct {
	name string
	// before makes what the command is to work on.
	before func(t *testing.T, r running)
	args   []string
	// want are the nodes in the end.
	want []string
	// after makes the cluster what it was.
	after func(t *testing.T, r running)
}

// TestKilledScaling kills add, remove and reconcile without warning at each of their steps, right where one ends and in
// the midst of the next, and runs the same command again, which must end what was begun.
func TestKilledScaling(t *testing.T) {
	l := newLab(t, "e2e-kills")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))

	r := look(t, l)
	first, one, two := l.Cluster+"-controlplane-1", l.Cluster+"-worker-1", l.Cluster+"-worker-2"
	add := []string{"node", "add", l.Cluster}
	remove := []string{"node", "remove", two}

	for _, command := range []killed{
		{
			name: "add", args: add, want: []string{first, one, two},
			before: func(*testing.T, running) {},
			after:  func(t *testing.T, r running) { run(t, r.Bronze(t.Context(), remove...)) },
		},
		{
			name: "remove", args: remove, want: []string{first, one},
			before: func(t *testing.T, r running) { run(t, r.Bronze(t.Context(), add...)) },
			after:  func(*testing.T, running) {},
		},
		{
			name: "reconcile", args: []string{"cluster", "reconcile", l.Cluster, "--now"}, want: []string{first, one},
			before: func(t *testing.T, r running) {
				run(t, r.Bronze(t.Context(), add...))
				r.docker("rm", "--force", two)(t)
			},
			after: func(*testing.T, running) {},
		},
	} {
		for _, delay := range []time.Duration{0, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s, %s into a step", command.name, delay), func(t *testing.T) { command.walk(t, r, delay) })
		}
	}
}

// walk kills the command after each of its steps, until it ends before that.
func (k killed) walk(t *testing.T, r running, delay time.Duration) {
	for steps := 1; ; steps++ {
		k.before(t, r)
		ended, settled := killAfterSteps(t, r, steps, delay, k.args)

		output, err := lab.Output(r.Bronze(t.Context(), k.args...))
		if err != nil && !strings.Contains(err.Error(), "in any source") {
			t.Fatalf("after a death after %d steps: %v\n%s", steps, err, output)
		}

		if settled {
			// The add had come to its end: the same command again adds another node.
			run(t, r.Bronze(t.Context(), "node", "remove", r.Cluster+"-worker-3"))
		}

		r.wantStates(t, allRunning(k.want...))
		k.after(t, r)

		if ended {
			t.Logf("it has %d steps", steps-1)

			return
		}
	}
}

// killAfterSteps runs bronze until it has told that so many steps have ended, and for so long on. It tells whether bronze
// ended by itself before, and whether an add had settled.
func killAfterSteps(t *testing.T, r running, steps int, delay time.Duration, args []string) (ended, settled bool) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	// The end of ctx is a SIGKILL.
	command := r.Bronze(ctx, args...)

	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	told := 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.Contains(lines.Text(), " s  ") {
			told++
		}

		settled = settled || strings.Contains(lines.Text(), " s  settle ")

		if told == steps {
			time.AfterFunc(delay, cancel)

			steps = -1
		}
	}

	err = command.Wait()
	if err != nil && ctx.Err() == nil {
		t.Fatalf("bronze %v failed before it was killed: %v", args, err)
	}

	return err == nil, settled
}
