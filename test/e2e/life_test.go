//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/client"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// upgraded is the second name of the node image.
const upgraded = "bronze.local/node:life"

// TestLife takes a cluster through all that nodes live through: stopped, started, paused, resumed, killed, shut down, and
// upgraded to the same image under another name. They come back as who they were.
func TestLife(t *testing.T) {
	// Registered first, and so done last, when no container is of the image any more.
	t.Cleanup(func() {
		if _, err := lab.Docker(context.WithoutCancel(t.Context()), "rmi", upgraded); err != nil {
			t.Log(err)
		}
	})

	l := newLab(t, "life")
	run(t, l.Bronze(t.Context(), labtest.Create(l.Cluster)...))

	cluster := living{running: look(t, l)}
	cluster.before = cluster.facts(t)

	t.Run("stop and start", cluster.testStopAndStart)
	t.Run("pause and resume", cluster.testPauseAndResume)
	t.Run("a node that ends with its engine starts again", cluster.testEndOfEngine)
	t.Run("a node that is shut down stays down", cluster.testShutdown)
	t.Run("a balancer that is killed starts again", cluster.testKilledBalancer)
	t.Run("upgrade", cluster.testUpgrade)
}

// living is a cluster whose nodes come and go.
type living struct {
	running

	// before is what must stay the same.
	before []string
}

// facts are the addresses and ports of the containers and the Kubernetes identities of the nodes.
func (l living) facts(t *testing.T) []string {
	t.Helper()

	var facts []string

	// Below the two tables is what holds for the moment only.
	shown := strings.SplitN(run(t, l.Bronze(t.Context(), "cluster", "show", l.Cluster)), "\n\n", 3)
	for line := range strings.Lines(strings.Join(shown[:2], "\n")) {
		// Of a node, its name, role, state and address stay; another may lead etcd.
		words := strings.Fields(line)
		facts = append(facts, strings.Join(words[:min(len(words), 4)], " "))
	}

	for _, field := range []string{".metadata.uid", ".spec.podCIDR"} {
		facts = append(facts, run(t, l.Kubectl(t.Context(), "get", "nodes", "-o", "jsonpath={.items[*]"+field+"}")))
	}

	// An upgrade changes the image, and that only.
	return slices.DeleteFunc(facts, func(line string) bool { return strings.HasPrefix(line, "image ") })
}

// checkSame waits until the nodes are Ready, and compares.
func (l living) checkSame(t *testing.T) {
	t.Helper()
	run(t, l.Kubectl(t.Context(), "wait", "node", "--all", "--for=condition=Ready", "--timeout=60s"))

	if after := l.facts(t); !slices.Equal(l.before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(l.before, "\n"), strings.Join(after, "\n"))
	}
}

func (l living) wantStatus(t *testing.T, want string) {
	t.Helper()

	if table := run(t, l.Bronze(t.Context(), "cluster", "show", l.Cluster)); !strings.Contains(table, want) {
		t.Errorf("the cluster is not %s:\n%s", want, table)
	}
}

func (l living) testStopAndStart(t *testing.T) {
	run(t, l.Bronze(t.Context(), "cluster", "stop", l.Cluster))
	l.wantStatus(t, "stopped")
	run(t, l.Bronze(t.Context(), "cluster", "start", l.Cluster))
	l.checkSame(t)
}

func (l living) testPauseAndResume(t *testing.T) {
	run(t, l.Bronze(t.Context(), "cluster", "pause", l.Cluster))
	l.wantStatus(t, "paused")
	run(t, l.Bronze(t.Context(), "cluster", "resume", l.Cluster))
	l.checkSame(t)
}

// engineFact is what the engine says of a container.
func engineFact(ctx context.Context, format, container string) (string, error) {
	words, err := lab.Docker(ctx, "inspect", "--format", format, container)

	return strings.Join(words, " "), err
}

// testEndOfEngine ends PID 1 as an engine does that ends itself: by a signal that no client of the engine asked for.
func (l living) testEndOfEngine(t *testing.T) {
	for _, node := range l.nodes {
		l.signal(t, node.Name, "TERM")
		l.awaitRestart(t, node.Name)
	}

	l.checkSame(t)
}

func (l living) testKilledBalancer(t *testing.T) {
	balancer := l.Cluster + "-loadbalancer"
	l.signal(t, balancer, "KILL")
	l.awaitRestart(t, balancer)
	l.checkSame(t)
}

// signal goes past the engine.
func (l living) signal(t *testing.T, container, name string) {
	t.Helper()

	pid, err := engineFact(t.Context(), "{{.State.Pid}}", container)
	if err != nil {
		t.Fatal(err)
	}

	run(t, exec.CommandContext(t.Context(), "kill", "-"+name, pid))
}

func (l living) awaitRestart(t *testing.T, container string) {
	t.Helper()

	until(t, func(ctx context.Context) error {
		state, err := engineFact(ctx, "{{.RestartCount}} {{.State.Status}}", container)
		if err == nil && state != "1 running" {
			err = fmt.Errorf("%s: restarts and state are %s", container, state)
		}

		return err
	})
}

func (l living) testShutdown(t *testing.T) {
	c, err := client.New(t.Context(), client.WithConfigFromFile(l.Talosconfig()), client.WithContextName(l.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	worker := l.nodes[1].Name
	if err := c.Shutdown(client.WithNode(t.Context(), l.addresses()[1])); err != nil {
		t.Fatal(err)
	}

	until(t, func(ctx context.Context) error {
		state, err := engineFact(ctx, "{{.State.Status}} {{.State.ExitCode}}", worker)
		if err == nil && state != "exited 0" {
			err = errors.New(worker + " is " + state)
		}

		return err
	})
	l.wantStatus(t, "partial")
	run(t, l.Bronze(t.Context(), "cluster", "start", l.Cluster))
	l.checkSame(t)
}

// testUpgrade gives the node image a second name, which is enough for every machine to be swapped.
func (l living) testUpgrade(t *testing.T) {
	used, err := engineFact(t.Context(), "{{.Config.Image}}", l.nodes[0].Name)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := lab.Docker(t.Context(), "tag", used, upgraded); err != nil {
		t.Fatal(err)
	}

	plan := run(t, l.Bronze(t.Context(), "cluster", "upgrade", l.Cluster, "--image", upgraded, "--dry-run"))
	if steps := strings.Count(plan, "upgrade "); steps != 3 {
		t.Errorf("the plan has %d steps:\n%s", steps, plan)
	}

	run(t, l.Bronze(t.Context(), "cluster", "upgrade", l.Cluster, "--image", upgraded))

	for _, container := range []string{l.nodes[0].Name, l.nodes[1].Name, l.Cluster + "-loadbalancer"} {
		if now, err := engineFact(t.Context(), "{{.Config.Image}}", container); err != nil || now != upgraded {
			t.Errorf("%s is of %s, %v", container, now, err)
		}
	}

	l.checkSame(t)
}
