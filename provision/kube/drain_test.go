package kube

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// pod belongs to a controller of that kind, or to none where it is empty.
func pod(name, controller string) corev1.Pod {
	made := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
	if controller != "" {
		yes := true
		made.OwnerReferences = []metav1.OwnerReference{{Kind: controller, Name: "owner", Controller: &yes}}
	}
	return made
}

func TestOnlyPodsThatAreMadeElsewhereLeave(t *testing.T) {
	static, finished := pod("static", ""), pod("finished", "Job")
	static.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	finished.Status.Phase = corev1.PodSucceeded
	var got []string
	for _, leaving := range leaving([]corev1.Pod{
		pod("web", "ReplicaSet"), pod("db", "StatefulSet"), pod("proxy", "DaemonSet"), pod("alone", ""), static, finished,
	}) {
		got = append(got, leaving.Name)
	}
	if diff := cmp.Diff([]string{"web", "db"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// fakeAPI holds one node with pods, and refuses to evict those in guarded.
type fakeAPI struct {
	mu      sync.Mutex
	node    corev1.Node
	pods    []corev1.Pod
	guarded []string
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/eviction"):
		name := strings.Split(path, "/")[6]
		if slices.Contains(f.guarded, name) {
			status := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonTooManyRequests, Code: 429, Message: "budget says no"}
			w.WriteHeader(http.StatusTooManyRequests)
			f.answer(w, status)
			return
		}
		f.pods = slices.DeleteFunc(f.pods, func(p corev1.Pod) bool { return p.Name == name })
		f.answer(w, metav1.Status{Status: "Success"})
	case path == "/api/v1/nodes/one" && r.Method == http.MethodPatch:
		body, _ := io.ReadAll(r.Body)
		f.patch(string(body))
		f.answer(w, f.node)
	case path == "/api/v1/nodes/one":
		f.answer(w, f.node)
	case path == "/api/v1/pods":
		f.answer(w, corev1.PodList{Items: f.pods})
	default:
		w.WriteHeader(http.StatusNotFound)
		f.answer(w, metav1.Status{Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
	}
}

// patch is the merge of the two patches that there are.
func (f *fakeAPI) patch(body string) {
	f.node.Spec.Unschedulable = strings.Contains(body, `"unschedulable":true`)
	f.node.Annotations = nil
	if f.node.Spec.Unschedulable {
		f.node.Annotations = map[string]string{drainedAnnotation: "true"}
	}
}

func (f *fakeAPI) answer(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(err)
	}
}

func clientOf(t *testing.T, api *fakeAPI) *Client {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	set, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &Client{set: set, close: func() {}}
}

func TestDrainClosesANodeAndWaitsForItsPodsToLeave(t *testing.T) {
	api := &fakeAPI{pods: []corev1.Pod{pod("web", "ReplicaSet"), pod("proxy", "DaemonSet"), pod("kept", "ReplicaSet")}, guarded: []string{"kept"}}
	client := clientOf(t, api)
	why, err := client.Drain(t.Context(), "one")
	if err != nil || why != "default/web, default/kept (budget says no)" {
		t.Errorf("Drain = %q, %v", why, err)
	}
	if !api.node.Spec.Unschedulable {
		t.Error("the node takes pods")
	}
	api.guarded = nil
	for want := range slices.Values([]string{"default/kept", ""}) {
		if why, err := client.Drain(t.Context(), "one"); err != nil || why != want {
			t.Errorf("Drain = %q, %v, want %q", why, err, want)
		}
	}
	if why, err := client.Uncordon(t.Context(), "one"); err != nil || why != "" {
		t.Errorf("Uncordon = %q, %v", why, err)
	}
	if api.node.Spec.Unschedulable || len(api.pods) != 1 {
		t.Errorf("closed: %t, pods: %v", api.node.Spec.Unschedulable, api.pods)
	}
}

func TestANodeThatTheUserClosedStaysClosed(t *testing.T) {
	api := &fakeAPI{node: corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}}
	client := clientOf(t, api)
	for name, ask := range map[string]func() (string, error){
		"Drain":    func() (string, error) { return client.Drain(t.Context(), "one") },
		"Uncordon": func() (string, error) { return client.Uncordon(t.Context(), "one") },
	} {
		if why, err := ask(); err != nil || why != "" {
			t.Errorf("%s = %q, %v", name, why, err)
		}
	}
	if !api.node.Spec.Unschedulable {
		t.Error("the node takes pods")
	}
}

func TestANodeThatIsNotThereIsDrained(t *testing.T) {
	client := clientOf(t, &fakeAPI{})
	for _, ask := range []func() (string, error){
		func() (string, error) { return client.Drain(t.Context(), "other") },
		func() (string, error) { return client.Uncordon(t.Context(), "other") },
	} {
		if why, err := ask(); err != nil || why != "" {
			t.Errorf("%q, %v", why, err)
		}
	}
}
