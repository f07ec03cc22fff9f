package containers

import (
	"testing"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const longID = "0123456789abcdef"

// labelled is a container of the pod kube-system/a.
func labelled(kind, name, specification string) *containersapi.Container {
	return &containersapi.Container{
		ID: longID, Image: "image",
		Labels: map[string]string{
			labelPodNamespace: "kube-system", labelPodName: "a", labelPodUID: "u", labelContainer: name, labelKind: kind,
		},
		Spec: &anypb.Any{Value: []byte(specification)},
	}
}

// asking is a container of a pod that names its image so.
func asking(image string, one *containersapi.Container) *containersapi.Container {
	one.Extensions = map[string]*anypb.Any{extensionMetadata: {
		Value: []byte(`{"Version":"v1","Metadata":{"Config":{"image":{"image":"sha256:1","user_specified_image":"` + image + `"}}}}`),
	}}

	return one
}

func TestContainersBearTheIDsOfTalos(t *testing.T) {
	const network = `{"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/var/run/netns/cni-1"}]}}`

	pod := Pod{Namespace: "kube-system", Name: "a", UID: "u"}
	tests := []struct {
		name    string
		given   *containersapi.Container
		task    *task.Process
		want    Container
		display string
		known   []string
	}{
		{
			"a sandbox", labelled(kindSandbox, "", network), &task.Process{Pid: 7, Status: task.Status_RUNNING},
			Container{
				Namespace: "k8s.io", ID: longID, Image: "image", Pod: pod, Sandbox: true, Pid: 7, State: "RUNNING", NetworkNamespace: "cni-1",
			},
			"kube-system/a", []string{longID, "kube-system/a"},
		},
		{
			"a container that ended", asking("asked:v1", labelled("container", "main", "")), nil,
			Container{Namespace: "k8s.io", ID: longID, Image: "asked:v1", Pod: pod, Name: "main", State: "STOPPED"},
			"kube-system/a:main:0123456789ab", []string{"kube-system/a:main:0123456789ab", "kube-system/a:main"},
		},
		{
			"no pod's", &containersapi.Container{ID: "x"}, nil,
			Container{Namespace: "k8s.io", ID: "x", State: "CREATED"},
			"x", []string{"x"},
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := containerOf("k8s.io", test.given, test.task)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}

			if diff := cmp.Diff(test.display, got.Display()); diff != "" {
				t.Error(diff)
			}

			for _, id := range test.known {
				if !got.matches(id) {
					t.Errorf("%q is another", id)
				}
			}

			for _, id := range []string{"", "kube-system/b", "kube-system/a:other", "main"} {
				if got.matches(id) {
					t.Errorf("%q is this one", id)
				}
			}
		})
	}
}

func TestContainersShareTheNetworkOfTheirSandbox(t *testing.T) {
	pod := Pod{Namespace: "n", Name: "p"}
	all := []Container{{Pod: pod, Sandbox: true, NetworkNamespace: "cni-1"}, {Pod: pod, Name: "main"}, {ID: "alone"}}
	shareNetworks(all)

	got := []string{all[0].NetworkNamespace, all[1].NetworkNamespace, all[2].NetworkNamespace}
	if diff := cmp.Diff([]string{"cni-1", "cni-1", ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestUsageIsReadFromBothVersionsOfControlGroups(t *testing.T) {
	tests := []struct {
		url    string
		data   proto.Message
		memory uint64
		cpu    time.Duration
	}{
		{"io.containerd.cgroups.v1.Metrics", &v1.Metrics{
			Memory: &v1.MemoryStat{Usage: &v1.MemoryEntry{Usage: 5}}, CPU: &v1.CPUStat{Usage: &v1.CPUUsage{Total: 7}},
		}, 5, 7 * time.Nanosecond},
		{"io.containerd.cgroups.v2.Metrics", &v2.Metrics{
			Memory: &v2.MemoryStat{Usage: 5}, CPU: &v2.CPUStat{UsageUsec: 7},
		}, 5, 7 * time.Microsecond},
		{"another", &v1.Metrics{}, 0, 0},
	}

	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			value, err := proto.Marshal(test.data)
			if err != nil {
				t.Fatal(err)
			}

			if memory, cpu := usageOf(&anypb.Any{TypeUrl: test.url, Value: value}); memory != test.memory || cpu != test.cpu {
				t.Errorf("%d bytes and %s", memory, cpu)
			}
		})
	}
}
