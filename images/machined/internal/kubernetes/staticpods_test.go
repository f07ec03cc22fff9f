package kubernetes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// manifestsOf are the static pods by path, each with its manifest; one that is to be removed has none.
func manifestsOf(t *testing.T, n Node) map[string]string {
	t.Helper()

	steps, err := n.StaticPods()
	if err != nil {
		t.Fatal(err)
	}

	found := map[string]string{}

	for _, step := range steps {
		switch step := step.(type) {
		case rootfs.File:
			found[step.Path] = step.Content
		case rootfs.Absent:
			found[step.Path] = ""
		default:
			t.Errorf("an unknown step: %#v", step)
		}
	}

	return found
}

func TestManifestsChangeWithWhatTheirPodsReadAndOnlyThen(t *testing.T) {
	const (
		api       = ManifestsDir + "/kube-apiserver.yaml"
		manager   = ManifestsDir + "/kube-controller-manager.yaml"
		scheduler = ManifestsDir + "/kube-scheduler.yaml"
	)

	n := testNode(t)
	before := manifestsOf(t, n)

	tests := []struct {
		name   string
		change func(*v1alpha1.Config)
		want   []string
	}{
		{"nothing", func(*v1alpha1.Config) {}, nil},
		{"a label of the node", func(c *v1alpha1.Config) {
			c.MachineConfig.MachineNodeLabels = map[string]string{"a": "b"}
		}, nil},
		{"its environment", func(c *v1alpha1.Config) {
			c.ClusterConfig.SchedulerConfig = &v1alpha1.SchedulerConfig{EnvConfig: v1alpha1.Env{"GODEBUG": "gctrace=1"}}
		}, []string{scheduler}},
		{"a file that is read at the start", func(c *v1alpha1.Config) {
			c.ClusterConfig.APIServerConfig.AuditPolicyConfig.Object["omitStages"] = []any{"RequestReceived"}
		}, []string{api}},
		{"the service account's key", func(c *v1alpha1.Config) {
			c.ClusterConfig.ClusterServiceAccount = testNode(t).Config.RawV1Alpha1().ClusterConfig.ClusterServiceAccount
		}, []string{api, manager}},
		{"a component that is switched off", func(c *v1alpha1.Config) {
			off := true
			c.MachineConfig.MachineControlPlane = &v1alpha1.MachineControlPlaneConfig{
				MachineScheduler: &v1alpha1.MachineSchedulerConfig{MachineSchedulerDisabled: &off},
			}
		}, []string{scheduler}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			changed := n

			patched, err := n.Config.PatchV1Alpha1(func(c *v1alpha1.Config) error { test.change(c); return nil })
			if err != nil {
				t.Fatal(err)
			}

			changed.Config = patched
			after := manifestsOf(t, changed)

			var got []string

			for _, path := range []string{api, manager, scheduler} {
				if after[path] != before[path] {
					got = append(got, path)
				}
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestComponentThatIsSwitchedOffIsTakenAway(t *testing.T) {
	n := testNode(t)
	off := true

	patched, err := n.Config.PatchV1Alpha1(func(c *v1alpha1.Config) error {
		c.MachineConfig.MachineControlPlane = &v1alpha1.MachineControlPlaneConfig{
			MachineControllerManager: &v1alpha1.MachineControllerManagerConfig{MachineControllerManagerDisabled: &off},
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	n.Config = patched

	manifest, there := manifestsOf(t, n)[ManifestsDir+"/kube-controller-manager.yaml"]
	if !there || manifest != "" {
		t.Errorf("the manifest is %q", manifest)
	}
}
