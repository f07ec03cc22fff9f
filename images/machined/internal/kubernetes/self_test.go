package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// oneNode is an API that has one Node and takes merge patches of its labels.
type oneNode struct {
	mu      sync.Mutex
	labels  map[string]any
	changed chan struct{}
}

func (n *oneNode) object() map[string]any {
	return map[string]any{"metadata": map[string]any{"name": "w", "labels": n.labels, "resourceVersion": "7"}}
}

func (n *oneNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()

	switch query := r.URL.Query(); {
	case r.Method == http.MethodPatch:
		var patch struct {
			Metadata struct {
				Labels          map[string]any
				ResourceVersion string
			}
		}
		if json.NewDecoder(r.Body).Decode(&patch) != nil || patch.Metadata.ResourceVersion != "7" {
			w.WriteHeader(http.StatusConflict)
			return
		}

		for name, value := range patch.Metadata.Labels {
			if n.labels[name] = value; value == nil {
				delete(n.labels, name)
			}
		}

		close(n.changed)
		n.changed = make(chan struct{})
	case query.Get("watch") != "":
		n.mu.Unlock()
		<-r.Context().Done()
		n.mu.Lock()
	case query.Get("fieldSelector") == "metadata.name=w":
		_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{"resourceVersion": "7"}, "items": []any{n.object()}})
	case r.URL.Path == "/api/v1/nodes/w":
		_ = json.NewEncoder(w).Encode(n.object())
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// await blocks until the label has the value.
func (n *oneNode) await(t *testing.T, name, value string) {
	t.Helper()

	for {
		n.mu.Lock()
		got, changed := fmt.Sprint(n.labels[name]), n.changed
		n.mu.Unlock()

		if got == value {
			return
		}

		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("label %s is %s", name, got)
		}
	}
}

func TestNodeFollowsTheMarks(t *testing.T) {
	node := &oneNode{labels: map[string]any{}, changed: make(chan struct{})}

	server := httptest.NewTLSServer(node)
	t.Cleanup(server.Close)

	api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
	t.Cleanup(api.Close)

	var (
		mu      sync.Mutex
		wanted  = "1"
		changed = make(chan struct{})
	)

	self := Self{
		API: api, Name: "w", Restricted: true, Log: slog.New(slog.DiscardHandler),
		Marks: func() Marks {
			mu.Lock()
			defer mu.Unlock()

			return Marks{Labels: map[string]string{"rack": wanted, "node-role.kubernetes.io/x": ""}}
		},
		Changed: func() <-chan struct{} {
			mu.Lock()
			defer mu.Unlock()

			return changed
		},
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- self.Run(ctx) }()

	node.await(t, "rack", "1")

	mu.Lock()
	wanted = "2"
	close(changed)
	changed = make(chan struct{})
	mu.Unlock()

	node.await(t, "rack", "2")
	node.await(t, "node-role.kubernetes.io/x", "<nil>")

	cancel()
	<-done
}
