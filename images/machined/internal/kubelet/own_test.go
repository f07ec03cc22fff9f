package kubelet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/config"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

func pod(namespace, name string) map[string]any {
	return map[string]any{"kind": "Pod", "metadata": map[string]any{"namespace": namespace, "name": name}}
}

func TestPodsOfTheConfigAreFilesOfTheirOwn(t *testing.T) {
	step, err := OwnPods([]map[string]any{pod("", "a"), pod("x", "a"), pod("..", "../b")})
	if err != nil {
		t.Fatal(err)
	}

	tree := step.(rootfs.Tree)

	var names []string
	for _, name := range []string{"machine-config-default-a.yaml", "machine-config-x-a.yaml", "machine-config-..-..%2Fb.yaml"} {
		if _, ok := tree.Files[name]; ok {
			names = append(names, name)
		}
	}

	if len(names) != 3 || len(tree.Files) != 3 || tree.Prefix != "machine-config-" {
		t.Errorf("tree %+v", tree)
	}

	if _, err := OwnPods([]map[string]any{{"kind": "Pod"}}); err == nil {
		t.Error("a pod without a name is taken")
	}
}

type profile struct{ name string }

func (p profile) Name() string          { return p.name }
func (p profile) Value() map[string]any { return map[string]any{"defaultAction": "SCMP_ACT_LOG"} }

func TestSeccompProfilesLieWherePodsNameThem(t *testing.T) {
	step, err := SeccompProfiles([]config.SeccompProfile{profile{"audit.json"}})

	want := rootfs.Tree{
		Path: "/var/lib/kubelet/seccomp/profiles", Mode: 0o644,
		Files: map[string]string{"audit.json": `{"defaultAction":"SCMP_ACT_LOG"}`},
	}
	if diff := cmp.Diff(rootfs.Step(want), step); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
