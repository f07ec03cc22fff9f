package kubernetes

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

func TestFillInsistsUntilEveryObjectIsThere(t *testing.T) {
	var posts atomic.Int32

	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/api/v1/namespaces/kube-system/services/kube-dns":
			fmt.Fprint(w, "{}")
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/api/v1/namespaces/kube-system/services":
			// Of a Service that exists, the API says that its address is taken.
			w.WriteHeader(http.StatusUnprocessableEntity)
		case r.URL.Path == "/api/v1/namespaces":
			w.WriteHeader(http.StatusConflict)
		default:
			if posts.Add(1) < 3 {
				w.WriteHeader(http.StatusNotFound)
				return
			}

			fmt.Fprint(w, "{}")
		}
	}))
	t.Cleanup(server.Close)

	api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
	t.Cleanup(api.Close)

	named := func(kind, name string) kubeapi.Object {
		return kubeapi.Object{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "kube-system"}}
	}

	err := Fill(t.Context(), api, []kubeapi.Object{
		named("Namespace", "kube-system"), named("Service", "kube-dns"), named("ConfigMap", "late"),
	}, slog.New(slog.DiscardHandler))
	if err != nil || posts.Load() != 3 {
		t.Errorf("Fill = %v after %d attempts at the late one", err, posts.Load())
	}
}

func TestRolesOfControllersMayComeLate(t *testing.T) {
	named := func(name string) kubeapi.Object {
		return kubeapi.Object{"metadata": map[string]any{"name": name}}
	}

	early, late := SplitPolicy([]kubeapi.Object{named("system:controller:job-controller"), named("system:kube-scheduler")})
	if len(early) != 1 || early[0].Name() != "system:kube-scheduler" || len(late) != 1 {
		t.Errorf("SplitPolicy = %v, %v", early, late)
	}
}
