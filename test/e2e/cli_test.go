//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab/labtest"
)

// TestCommandsOnNodes does with bronze alone what talosctl is used for, on a cluster of two nodes.
func TestCommandsOnNodes(t *testing.T) {
	l := newLab(t, "commands")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1")...))

	cluster := look(t, l)

	t.Run("questions", cluster.testQuestions)
	t.Run("health", cluster.testHealth)
	t.Run("files", cluster.testNodeFiles)
	t.Run("a snapshot of etcd", cluster.testSnapshot)
	t.Run("a patch", cluster.testPatchCommand)
	t.Run("lesser roles", cluster.testLesserRole)
	t.Run("a reboot", cluster.testRebootCommand)

	run(t, l.Bronze(t.Context(), "cluster", "destroy", l.Cluster))
}

// bronze runs a command on both nodes.
func (r running) bronze(t *testing.T, args ...string) string {
	t.Helper()

	return run(t, r.Bronze(t.Context(), append(args, "--nodes", strings.Join(r.addresses(), ","))...))
}

// testQuestions wants of every question an answer of each node that says what is true.
func (r running) testQuestions(t *testing.T) {
	for command, each := range map[string]string{
		"version":                         `v1\.13`,
		"services":                        `kubelet +Running +OK`,
		"logs kubelet --tail 3":           `.`,
		"get members":                     `Member +` + r.Cluster + `-worker-1`,
		"get hostname":                    r.Cluster,
		"get machinestatus":               `running +true`,
		"containers -k":                   `kube-proxy`,
		"stats -k":                        `kube-proxy`,
		"processes":                       `kubelet`,
		"memory":                          `\d+ +\d+`,
		"mounts":                          ` /var`,
		"netstat -l -t -p":                `:10250 .*kubelet`,
		"ls -l /etc/kubernetes":           `kubelet\.yaml`,
		"usage /etc/kubernetes":           ` \.`,
		"image list":                      `kube-proxy`,
		"get kubeletspec -o jsonpath={.}": `.`,
	} {
		t.Run(command, func(t *testing.T) {
			output := r.bronze(t, strings.Fields(command)...)

			if strings.Contains(command, "jsonpath") {
				return
			}

			for _, address := range r.addresses() {
				line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(address) + `.*` + each)
				if !line.MatchString(output) {
					t.Errorf("%s does not answer %q in\n%s", address, each, output)
				}
			}
		})
	}
}

func (r running) testHealth(t *testing.T) {
	for _, server := range []string{"--server=true", "--server=false"} {
		command := r.Bronze(t.Context(), "health", server, "--wait-timeout", patience.String(), "--nodes", r.addresses()[0])

		output, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(output), "waiting for all k8s nodes to report schedulable: OK") {
			t.Errorf("health %s: %v\n%s", server, err, output)
		}
	}
}

func (r running) testNodeFiles(t *testing.T) {
	worker := r.addresses()[1]

	if got := run(t, r.Bronze(t.Context(), "read", "/etc/hostname", "-n", worker)); got != r.nodes[1].Name {
		t.Errorf("the node's name is %q, want %q", got, r.nodes[1].Name)
	}

	copied := filepath.Join(r.Dir, "copied")
	run(t, r.Bronze(t.Context(), "copy", "/etc/kubernetes", copied, "-n", worker))

	if _, err := os.Stat(filepath.Join(copied, "kubelet.yaml")); err != nil {
		t.Error(err)
	}
}

func (r running) testSnapshot(t *testing.T) {
	path := filepath.Join(r.Dir, "db.snapshot")
	run(t, r.Bronze(t.Context(), "etcd", "snapshot", path, "-n", r.addresses()[0]))

	if info, err := os.Stat(path); err != nil || info.Size() < 100_000 {
		t.Errorf("snapshot %v, %v", info, err)
	}
}

// testPatchCommand patches a label of the worker, which Kubernetes then shows.
func (r running) testPatchCommand(t *testing.T) {
	run(t, r.Bronze(t.Context(), "patch", "machineconfig", "-n", r.addresses()[1],
		"-p", `{"machine":{"nodeLabels":{"bronze.test/patched":"yes"}}}`))

	until(t, func(ctx context.Context) error {
		output, err := r.Kubectl(ctx, "get", "node", r.nodes[1].Name, "-o", "json").Output()
		if err != nil {
			return err
		}

		var node corev1.Node
		if err := json.Unmarshal(output, &node); err != nil {
			return err
		}

		if node.Labels["bronze.test/patched"] != "yes" {
			return fmt.Errorf("labels are %v", node.Labels)
		}

		return nil
	})
}

// testLesserRole lets the control plane make a talosconfig that may only look.
func (r running) testLesserRole(t *testing.T) {
	path := filepath.Join(r.Dir, "reader")
	run(t, r.Bronze(t.Context(), "config", "new", path, "--roles", "os:reader", "-n", r.addresses()[0]))
	run(t, r.Bronze(t.Context(), "get", "members", "--talosconfig", path))

	for _, command := range [][]string{{"reboot"}, {"get", "mc", "v1alpha1"}} {
		output, err := r.Bronze(t.Context(), append(command, "--talosconfig", path)...).CombinedOutput()
		if err == nil || !strings.Contains(string(output), "does not allow this") {
			t.Errorf("%v as a reader: %v\n%s", command, err, output)
		}
	}
}

// testRebootCommand waits as the command does, and then for the node.
func (r running) testRebootCommand(t *testing.T) {
	worker := r.addresses()[1]
	before := run(t, r.Bronze(t.Context(), "get", "machinestatus", "-o", "jsonpath={.metadata.created}", "-n", worker))

	run(t, r.Bronze(t.Context(), "reboot", "-n", worker, "--timeout", patience.String()))

	after := run(t, r.Bronze(t.Context(), "get", "machinestatus", "-o", "jsonpath={.metadata.created}", "-n", worker))
	if after == before {
		t.Errorf("the node's run began at %s before and after", after)
	}

	run(t, r.Kubectl(t.Context(), "wait", "--for=condition=Ready", "--timeout", patience.String(), "node/"+r.nodes[1].Name))
}
