package kubeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

func serve(t *testing.T, handler http.HandlerFunc) *kubeapi.Client {
	t.Helper()

	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)

	client := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
	t.Cleanup(client.Close)

	return client
}

func TestErrorsBearTheAPIsMessage(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind":"Status","message":"it is there already"}`)
	})

	err := client.Create(t.Context(), kubeapi.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "a"}})

	var status *kubeapi.StatusError
	if !errors.As(err, &status) || status.Message != "it is there already" || !kubeapi.IsStatus(err, http.StatusConflict) {
		t.Errorf("Create = %v", err)
	}
}

func TestCreateFindsThePathOfKnownAndUnknownKinds(t *testing.T) {
	var (
		mu    sync.Mutex
		posts []string
	)

	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			mu.Lock()
			posts = append(posts, r.URL.Path)
			mu.Unlock()
		}

		_ = json.NewEncoder(w).Encode(map[string]any{"resources": []map[string]any{
			{"name": "widgets/status", "kind": "Widget", "namespaced": true},
			{"name": "widgets", "kind": "Widget", "namespaced": true},
		}})
	})

	for _, object := range []kubeapi.Object{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "a"}},
		{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": map[string]any{"name": "a", "namespace": "b"}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}},
		{"apiVersion": "example.org/v2", "kind": "Widget", "metadata": map[string]any{"name": "a", "namespace": "b"}},
	} {
		if err := client.Create(t.Context(), object); err != nil {
			t.Error(err)
		}
	}

	want := []string{
		"/api/v1/namespaces", "/apis/apps/v1/namespaces/b/daemonsets", "/api/v1/namespaces/default/configmaps",
		"/apis/example.org/v2/namespaces/b/widgets",
	}
	if diff := cmp.Diff(want, posts); diff != "" {
		t.Error(diff)
	}
}

func TestWatchSeesWhatIsThereWhatChangesAndListsAnewAfterABreak(t *testing.T) {
	lists := 0

	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			lists++
			fmt.Fprintf(w, `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"list-%d"}}]}`, lists)

			return
		}

		if r.URL.Query().Get("resourceVersion") != "7" {
			t.Errorf("watches from %s", r.URL.RawQuery)
		}

		fmt.Fprint(w, `{"type":"MODIFIED","object":{"metadata":{"name":"changed"}}}{"type":"DELETED","object":{"metadata":{"name":"gone"}}}`)
	})

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	var seen []string

	err := client.Watch(ctx, "/api/v1/nodes", func(_ context.Context, object kubeapi.Object) error {
		seen = append(seen, object.Name())
		if len(seen) == 4 {
			cancel()
		}

		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"list-1", "changed", "list-2", "changed"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestOneObjectIsWatchedUntilItIsGone(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("fieldSelector"); got != "metadata.name=a" {
			t.Errorf("selects %q", got)
		}

		if r.URL.Query().Get("watch") == "" {
			fmt.Fprint(w, `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}}]}`)
			return
		}

		fmt.Fprint(w, `{"type":"MODIFIED","object":{"metadata":{"name":"a","namespace":"changed"}}}{"type":"DELETED","object":{"metadata":{"name":"a"}}}`)
	})

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	var seen []string

	err := client.WatchOne(ctx, "/api/v1/nodes", "a", func(_ context.Context, object kubeapi.Object) error {
		seen = append(seen, object.Name()+"/"+object.Namespace())
		if object == nil {
			cancel()
		}

		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"a/", "a/changed", "/"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestObjectWalksDownAndForgivesWhatIsNotThere(t *testing.T) {
	object := kubeapi.Object{"metadata": map[string]any{"name": "a", "labels": map[string]any{"x": ""}}, "spec": "text"}

	if object.Name() != "a" || !object.HasLabel("x") || object.HasLabel("y") || object.Text("spec", "deeper") != "" {
		t.Errorf("read %q, %t, %t, %q", object.Name(), object.HasLabel("x"), object.HasLabel("y"), object.Text("spec", "deeper"))
	}

	object.Set("v", "status", "deep", "er")

	if object.Text("status", "deep", "er") != "v" {
		t.Errorf("Set made %v", object)
	}
}
