//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// testHandmadeWorker makes a node without bronze, from anonymous volumes and the USERDATA of another worker, as users
// of Talos do. What destroy then leaves of it is checked with the rest.
func (r running) testHandmadeWorker(t *testing.T) { r.makeWorker(t) }

// makeWorker does so with more flags of the engine's.
func (r running) makeWorker(t *testing.T, flags ...string) {
	t.Helper()

	name := r.Cluster + "-worker-2"
	r.makeNode(t, name, r.userDataVariable(t), flags...)

	until(t, func(ctx context.Context) error { return r.nodeReady(ctx, name) })
}

// userDataVariable is the environment variable that brought the first worker its machine config.
func (r running) userDataVariable(t *testing.T) string {
	t.Helper()

	words, err := lab.Docker(t.Context(), "inspect", "--format",
		`{{range .Config.Env}}{{if eq (index (split . "=") 0) "USERDATA"}}{{print .}}{{end}}{{end}}`, r.Cluster+"-worker-1")
	if err != nil {
		t.Fatal(err)
	}

	return words[0]
}

// makeNode starts a container with that environment variable, in the cluster's network; flags are the engine's.
func (r running) makeNode(t *testing.T, name, variable string, flags ...string) {
	t.Helper()

	args := slices.Concat(
		[]string{"run", "--name", name, "--hostname", name}, runtimeForPrivileged(t), flags,
		strings.Fields(`--privileged --security-opt seccomp=unconfined --read-only --cpus=2 --memory=2048m
			--mount type=tmpfs,destination=/run --mount type=tmpfs,destination=/system --mount type=tmpfs,destination=/tmp
			--mount type=volume,destination=/var --mount type=volume,destination=/system/state
			--mount type=volume,destination=/etc/cni --mount type=volume,destination=/etc/kubernetes
			--mount type=volume,destination=/usr/libexec/kubernetes --mount type=volume,destination=/opt
			--env PLATFORM=container --env TALOSSKU=2CPU-2048RAM --label talos.owned=true --label talos.type=worker --detach`),
		[]string{"--network", r.Cluster, "--label", "talos.cluster.name=" + r.Cluster, "--env", variable, labtest.NodeImage(t, r.Root)},
	)
	if _, err := lab.Docker(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// runtimeForPrivileged names the runtime that hack/setup registers where the host refuses --privileged to any other.
func runtimeForPrivileged(t *testing.T) []string {
	t.Helper()

	runtimes, err := lab.Docker(t.Context(), "info", "--format", "{{range $name, $_ := .Runtimes}}{{$name}} {{end}}")
	if err != nil {
		t.Fatal(err)
	}

	if slices.Contains(runtimes, "bronze") {
		return []string{"--runtime", "bronze"}
	}

	return nil
}

func (r running) nodeReady(ctx context.Context, name string) error {
	status, err := lab.Output(r.Kubectl(ctx, "get", "node", name, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"))
	if err == nil && status != string(corev1.ConditionTrue) {
		err = fmt.Errorf("node %s has the condition Ready at %q", name, status)
	}

	return err
}
