//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// seen is what `bronze cluster show -o json` says of nodes and of etcd.
type seen struct {
	Picture struct {
		Nodes []struct {
			Name  string `json:"name"`
			Role  string `json:"role"`
			State string `json:"state"`
			Etcd  *struct {
				Learner bool `json:"learner"`
			} `json:"etcd"`
			Kubernetes *struct {
				Ready bool `json:"ready"`
			} `json:"kubernetes"`
			Affiliate *struct{} `json:"affiliate"`
		} `json:"nodes"`
		Quorum struct {
			Members int    `json:"members"`
			Alive   int    `json:"alive"`
			Agreed  bool   `json:"agreed"`
			Leader  string `json:"leader"`
		} `json:"quorum"`
	} `json:"picture"`
}

func show(ctx context.Context, l lab.Lab) (seen, error) {
	output, err := lab.Output(l.Bronze(ctx, "cluster", "show", l.Cluster, "-o", "json"))
	if err != nil {
		return seen{}, err
	}

	var s seen

	return s, json.Unmarshal([]byte(output), &s)
}

// states are those of the nodes, each as "name state"; what is Running and Ready and known to all is "name whole".
func states(t *testing.T, l lab.Lab) []string {
	t.Helper()

	s, err := show(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}

	var words []string

	for _, node := range s.Picture.Nodes {
		state := node.State
		if state == "running" && node.Kubernetes != nil && node.Kubernetes.Ready && node.Affiliate != nil {
			state = "whole"
		}

		words = append(words, node.Name+" "+state)
	}

	slices.Sort(words)

	return words
}

func checkStates(t *testing.T, l lab.Lab, want ...string) {
	t.Helper()

	if got := states(t, l); !slices.Equal(got, want) {
		t.Fatalf("nodes are %q, want %q", got, want)
	}
}

// vanish is docker rm --force of a node's container.
func vanish(t *testing.T, flags ...string) {
	t.Helper()

	if _, err := lab.Docker(t.Context(), append([]string{"rm", "--force"}, flags...)...); err != nil {
		t.Fatal(err)
	}
}

// codeOf is what a command ended with.
func codeOf(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}

	return 0
}

// TestReconcileWorkers deletes workers brutally, and has them forgotten, replaced and resurrected.
func TestReconcileWorkers(t *testing.T) {
	l := newLab(t, "e2e-mend")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "2")...))

	reconcile := func(args ...string) *exec.Cmd {
		return l.Bronze(t.Context(), append([]string{"cluster", "reconcile", l.Cluster}, args...)...)
	}
	planes := l.Cluster + "-controlplane-1 whole"
	worker := func(number int) string { return fmt.Sprintf("%s-worker-%d", l.Cluster, number) }

	vanish(t, worker(1))
	t.Run("nothing is done before the second sighting", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()

		_ = l.Bronze(ctx, "cluster", "reconcile", l.Cluster, "--interval", "1h").Run()

		checkStates(t, l, planes, worker(1)+" missing", worker(2)+" whole")
	})
	t.Run("an engine that does not answer changes nothing", func(t *testing.T) {
		command := reconcile("--now")
		command.Env = append(command.Env, "DOCKER_HOST=unix:///no/such.sock")

		if _, err := lab.Output(command); err == nil {
			t.Error("reconcile ended well")
		}

		checkStates(t, l, planes, worker(1)+" missing", worker(2)+" whole")
	})
	t.Run("it is forgotten", func(t *testing.T) {
		run(t, reconcile("--now"))
		checkStates(t, l, planes, worker(2)+" whole")
	})
	t.Run("another takes its place", func(t *testing.T) {
		vanish(t, "--volumes", worker(2))
		run(t, reconcile("--now", "--missing", "replace"))
		checkStates(t, l, planes, worker(1)+" whole")
	})
	t.Run("it comes back on its volumes", func(t *testing.T) {
		vanish(t, worker(1))
		run(t, reconcile("--now", "--missing", "resurrect"))
		checkStates(t, l, planes, worker(1)+" whole")
	})
	t.Run("nothing is left to do", func(t *testing.T) {
		if plan := run(t, reconcile("--now")); plan != fmt.Sprintf("cluster %q needs nothing", l.Cluster) {
			t.Error(plan)
		}
	})
	t.Run("the only control plane comes back", func(t *testing.T) {
		vanish(t, l.Cluster+"-controlplane-1")

		if _, err := lab.Output(reconcile("--now")); codeOf(err) != 3 {
			t.Errorf("forgetting it ended with %v, want code 3", err)
		}

		run(t, reconcile("--now", "--missing", "resurrect"))
		checkStates(t, l, planes, worker(1)+" whole")
	})
}

// TestReconcileControlPlanes deletes leaders brutally while a client writes.
func TestReconcileControlPlanes(t *testing.T) {
	l := newLab(t, "e2e-quorum")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--controlplanes", "3", "--workers", "2")...))

	reconcile := func(args ...string) *exec.Cmd {
		return l.Bronze(t.Context(), append([]string{"cluster", "reconcile", l.Cluster, "--now"}, args...)...)
	}

	t.Run("a paused one is left alone", func(t *testing.T) {
		leader := leaderOf(t, l)
		for _, act := range []string{"pause", "unpause"} {
			// On cgroup v1 freezing fails where a process is made meanwhile.
			until(t, func(ctx context.Context) error {
				_, err := lab.Docker(ctx, act, leader)

				return err
			})
			run(t, reconcile("--missing", "replace"))
		}

		awaitVoters(t, l, 3)
	})
	t.Run("the leader is replaced under load", func(t *testing.T) {
		writer := write(t, look(t, l).kubernetesWriter(t))
		writer.await(t)

		leader := leaderOf(t, l)
		vanish(t, "--volumes", leader)
		run(t, reconcile("--missing", "replace"))
		writer.await(t)
		awaitVoters(t, l, 3)

		keys, gap := writer.stop()
		t.Logf("%d writes were acknowledged, at most %s apart", len(keys), gap)

		for _, key := range keys {
			if err := writer.target.read(t.Context(), key); err != nil {
				t.Errorf("%s was acknowledged: %v", key, err)
			}
		}

		if slices.ContainsFunc(states(t, l), func(state string) bool { return state == leader+" whole" }) {
			t.Errorf("%s is there still", leader)
		}
	})
	t.Run("two of three are refused, and come back", func(t *testing.T) {
		s, err := show(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}

		vanish(t, s.Picture.Nodes[0].Name, s.Picture.Nodes[1].Name)

		if output, err := reconcile("--missing", "replace").Output(); codeOf(err) != 3 {
			t.Errorf("ended with %v, want code 3:\n%s", err, output)
		}

		run(t, reconcile("--missing", "resurrect"))
		awaitVoters(t, l, 3)
	})
}

func leaderOf(t *testing.T, l lab.Lab) string {
	t.Helper()

	leader := ""

	until(t, func(ctx context.Context) error {
		s, err := show(ctx, l)
		if leader = s.Picture.Quorum.Leader; err == nil && leader == "" {
			err = errors.New("nobody leads etcd")
		}

		return err
	})

	return leader
}

// awaitVoters waits until so many members vote, live, and agree, and all nodes are whole.
func awaitVoters(t *testing.T, l lab.Lab, count int) {
	t.Helper()

	until(t, func(ctx context.Context) error {
		s, err := show(ctx, l)
		if err != nil {
			return err
		}

		if q := s.Picture.Quorum; q.Members != count || q.Alive != count || !q.Agreed {
			return fmt.Errorf("quorum is %+v", q)
		}

		for _, node := range s.Picture.Nodes {
			if node.State != "running" || node.Kubernetes == nil || !node.Kubernetes.Ready {
				return fmt.Errorf("%s is %s and not Ready", node.Name, node.State)
			}
		}

		return nil
	})
}
