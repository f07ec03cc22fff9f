package written

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsWrittenIsTold(t *testing.T) {
	files := map[string]string{
		"kubelet.yaml":                  `{"kind": "KubeletConfiguration", "clusterDomain": "cluster.local"}`,
		"manifests/kube-apiserver.yaml": `{"kind": "Pod", "metadata": {"name": "kube-apiserver"}}`,
		// The kubelet's own and half-written files are no pods.
		"manifests/.kube-scheduler.yaml.1": "half",
		"manifests/notes.txt":              "none",
		"manifests/broken.yaml":            "a: [",
	}
	control := map[string]string{
		"etcd/server.crt": "S", "etcd/server.key": "s", "kubernetes/kube-apiserver/server.crt": "A", "kubernetes/kube-apiserver/server.key": "a",
		"kubernetes/kube-scheduler/kubeconfig": "config",
	}

	tests := []struct {
		name  string
		files []map[string]string
		want  []string
	}{
		{"a node that has not written yet", nil, nil},
		{"a worker", []map[string]string{files}, []string{
			"ConfigStatuses.kubernetes.talos.dev/static-pods", "KubeletSpecs.kubernetes.talos.dev/kubelet", "StaticPods.kubernetes.talos.dev/kube-apiserver",
		}},
		{"a control plane", []map[string]string{files, control}, []string{
			"ConfigStatuses.kubernetes.talos.dev/static-pods", "EtcdSecrets.secrets.talos.dev/etcd", "KubeletSpecs.kubernetes.talos.dev/kubelet",
			"KubernetesDynamicCerts.secrets.talos.dev/k8s-dynamic-certs", "KubernetesSecrets.secrets.talos.dev/k8s-certs", "PKIStatuses.etcd.talos.dev/etcd",
			"SecretStatuses.kubernetes.talos.dev/static-pods", "StaticPods.kubernetes.talos.dev/kube-apiserver",
		}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := options(t.TempDir())
			for _, all := range test.files {
				write(t, opts.Root, all)
			}

			var got []string
			for _, r := range opts.look().All() {
				got = append(got, r.Metadata().Type()+"/"+r.Metadata().ID())
			}

			slices.Sort(got)

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestContentIsThatOfTheFiles(t *testing.T) {
	opts := options(t.TempDir())
	write(t, opts.Root, map[string]string{
		"kubelet.yaml":                         "kind: KubeletConfiguration\nport: 10250\n",
		"kubernetes/kube-apiserver/server.crt": "A", "kubernetes/kube-apiserver/server.key": "a",
		"kubernetes/kube-scheduler/kubeconfig": "config",
	})

	for _, r := range opts.look().All() {
		switch r := r.(type) {
		case *k8s.KubeletSpec:
			want := k8s.KubeletSpecSpec{Image: "kubelet:v1", Args: []string{"--a=b"}, ExpectedNodename: "node", Config: map[string]any{"kind": "KubeletConfiguration", "port": float64(10250)}}
			if diff := cmp.Diff(want, *r.TypedSpec()); diff != "" {
				t.Error(diff)
			}
		case *secrets.KubernetesDynamicCerts:
			if got := string(r.TypedSpec().APIServer.Crt) + string(r.TypedSpec().APIServer.Key); got != "Aa" || r.TypedSpec().FrontProxy != nil {
				t.Errorf("certificates: %q, %v", got, r.TypedSpec().FrontProxy)
			}
		case *secrets.Kubernetes:
			if got := r.TypedSpec().SchedulerKubeconfig; got != "config" {
				t.Errorf("kubeconfig: %q", got)
			}
		}
	}
}

func TestFilesThatGoAreToldNoMore(t *testing.T) {
	var changed publish.Notice

	opts := options(t.TempDir())
	opts.State, opts.Changed = state.WrapCore(namespaced.NewState(inmem.Build)), changed.Changed
	write(t, opts.Root, map[string]string{"manifests/a.yaml": "kind: Pod"})

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- Run(ctx, opts) }()

	pod := k8s.NewStaticPod(k8s.NamespaceName, "a")
	if _, err := opts.State.WatchFor(ctx, pod.Metadata(), state.WithEventTypes(state.Created)); err != nil {
		t.Fatal(err)
	}

	if err := os.Remove(filepath.Join(opts.Root, "manifests/a.yaml")); err != nil {
		t.Fatal(err)
	}

	gone := make(chan error, 1)

	go func() {
		_, err := opts.State.WatchFor(ctx, pod.Metadata(), state.WithEventTypes(state.Destroyed))
		gone <- err
	}()

	changed.Notify()

	if err := <-gone; err != nil {
		t.Error(err)
	}

	cancel()

	if err := <-done; err != nil {
		t.Error(err)
	}
}

func options(root string) Options {
	return Options{
		Root: root, Kubelet: "kubelet.yaml", Manifests: "manifests", EtcdSecrets: "etcd", KubernetesSecrets: "kubernetes",
		Node: "node", Image: "kubelet:v1", Arguments: func() []string { return []string{"--a=b"} },
	}
}

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()

	for path, content := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
