package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bronze-os/bronze/provision"
)

// fakeAPI holds ConfigMaps and pods' files, and answers lists in pages.
type fakeAPI struct {
	mu      sync.Mutex
	records []string
	files   map[string]string
	full    bool
	// hangs lets a request wait until its client gives up.
	hangs bool
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	hangs := f.hangs
	f.mu.Unlock()
	if hangs {
		// A server sees its client go only once it has read all that came.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/proxy/files/mark"):
		f.serveFile(w, r, strings.Split(path, "/")[6])
	case strings.HasSuffix(path, "/configmaps") && r.Method == http.MethodPost:
		f.create(w, r)
	case strings.HasSuffix(path, "/configmaps"):
		f.list(w, r)
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "there is no "+path)
	}
}

func (f *fakeAPI) serveFile(w http.ResponseWriter, r *http.Request, pod string) {
	data, there := f.files[pod]
	switch {
	case r.Method == http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		f.files[pod] = string(body)
	case !there:
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "no endpoints")
	default:
		fmt.Fprint(w, data)
	}
}

func (f *fakeAPI) create(w http.ResponseWriter, r *http.Request) {
	var object corev1.ConfigMap
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	switch {
	case f.full:
		refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: mvcc: database space exceeded")
	case slices.Contains(f.records, object.Name):
		refuse(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, "it is there")
	default:
		f.records = append(f.records, object.Name)
		answer(w, http.StatusCreated, object)
	}
}

// list has two records on a page.
func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request) {
	from := 0
	if token := r.URL.Query().Get("continue"); token != "" {
		_, _ = fmt.Sscan(token, &from)
	}
	page := corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{Kind: "ConfigMapList", APIVersion: "v1"}}
	to := min(from+2, len(f.records))
	for _, name := range f.records[from:to] {
		page.Items = append(page.Items, corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	if to < len(f.records) {
		page.Continue = fmt.Sprint(to)
	}
	answer(w, http.StatusOK, page)
}

func refuse(w http.ResponseWriter, code int32, reason metav1.StatusReason, message string) {
	answer(w, int(code), metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: code, Reason: reason, Message: message,
	})
}

func answer(w http.ResponseWriter, code int, value any) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value)
}

func newCanary(t *testing.T, api *fakeAPI) *Canary {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	set, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the cluster cannot be reached")
	c := New(func(context.Context) (provision.Access, error) { return provision.Access{}, gone }, "probe")
	c.set, c.close = set, func() {}
	return c
}

func TestWritesAreFoundOverAllPages(t *testing.T) {
	c := newCanary(t, &fakeAPI{})
	want := map[string]bool{}
	for i := range 5 {
		key := fmt.Sprint("write-", i)
		want[key] = true
		// The second is what a client does whose acknowledgement got lost.
		for range 2 {
			if err := c.Write(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := c.Written(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARefusalSaysWhyAndKeepsTheConnection(t *testing.T) {
	c := newCanary(t, &fakeAPI{full: true})
	if err := c.Write(t.Context(), "write-1"); err == nil || !strings.Contains(err.Error(), "database space exceeded") {
		t.Errorf("error %v", err)
	}
	if c.set == nil {
		t.Error("an answer has cost the connection")
	}
}

func TestWhoGetsNoAnswerMakesAnotherConnection(t *testing.T) {
	c := newCanary(t, &fakeAPI{hangs: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Write(ctx, "write-1"); err == nil || strings.Contains(err.Error(), "write-1") {
		t.Errorf("error %v, want one that reads the same for all writes", err)
	}
	if c.set != nil {
		t.Error("the connection is kept")
	}
	if err := c.Write(t.Context(), "write-2"); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("error %v, want that of the way to the cluster", err)
	}
}

func TestTheCanarySingsWhenAllPodsServeTheirData(t *testing.T) {
	api := &fakeAPI{files: map[string]string{}}
	c := newCanary(t, api)
	c.nodes = []string{"dev-worker-1", "dev-worker-2"}
	for i := range c.nodes {
		if err := c.store(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if why, err := c.Sing(t.Context()); why != "" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	api.files["canary-0:8080"] = "something else"
	delete(api.files, "canary-1:8080")
	why, err := c.Sing(t.Context())
	if err != nil || !strings.Contains(why, "canary-0 serves") || !strings.Contains(why, "canary-1 on dev-worker-2") {
		t.Errorf("%q, %v", why, err)
	}
}

func TestPodsAreStrandedByTheirNode(t *testing.T) {
	var pods []corev1.Pod
	for name, node := range map[string]string{"canary-0": "dev-worker-1", "canary-1": "dev-worker-2", "canary-2": ""} {
		pods = append(pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node}})
	}
	if diff := cmp.Diff([]string{"canary-1 on dev-worker-2"}, bound(pods, []string{"dev-worker-2", "dev-worker-3"})); diff != "" {
		t.Error(diff)
	}
}

func TestAVolumeIsOfOneNodeAndForOnePod(t *testing.T) {
	one, other := volume(0, "dev-worker-1", "a"), volume(0, "dev-worker-2", "a")
	if one.Name == other.Name || one.Spec.HostPath.Path == other.Spec.HostPath.Path {
		t.Error("volumes of two nodes are one")
	}
	terms := one.Spec.NodeAffinity.Required.NodeSelectorTerms
	if got := terms[0].MatchExpressions[0].Values; !slices.Equal(got, []string{"dev-worker-1"}) {
		t.Errorf("it is of %v", got)
	}
	if one.Spec.ClaimRef.Name != claimName(0) || !strings.HasPrefix(one.Spec.HostPath.Path, hostDir+"/") {
		t.Errorf("%+v", one.Spec)
	}
}
