package kubernetes

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// configMaps is an API that keeps ConfigMaps, by name, and counts what was applied.
type configMaps struct {
	mu      sync.Mutex
	objects map[string]kubeapi.Object
	applied []string
}

func (c *configMaps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()

	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]

	var object kubeapi.Object
	if r.Method != http.MethodGet && json.NewDecoder(r.Body).Decode(&object) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}

	switch existing, there := c.objects[name]; {
	case r.Method == http.MethodPost && c.objects[object.Name()] != nil:
		w.WriteHeader(http.StatusConflict)
	case r.Method == http.MethodPost:
		c.objects[object.Name()] = object
		_ = json.NewEncoder(w).Encode(object)
	case r.Method == http.MethodPatch && r.URL.Query().Get("force") == "true":
		c.objects[name] = object
		c.applied = append(c.applied, name)
		_ = json.NewEncoder(w).Encode(object)
	case there:
		_ = json.NewEncoder(w).Encode(existing)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func configMap(name, value string) kubeapi.Object {
	return kubeapi.Object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "kube-system"}, "data": map[string]any{"key": value},
	}
}

func TestOwnObjectsFollowTheirRenderingAndNothingElse(t *testing.T) {
	cluster := &configMaps{objects: map[string]kubeapi.Object{}}

	server := httptest.NewTLSServer(cluster)
	t.Cleanup(server.Close)

	api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
	t.Cleanup(api.Close)

	for _, step := range []struct {
		name      string
		before    func()
		manifests Manifests
		applied   []string
		want      map[string]string
	}{
		{
			"all are created", func() {},
			Manifests{Own: []kubeapi.Object{configMap("own", "1")}, Others: []kubeapi.Object{configMap("other", "1")}},
			nil, map[string]string{"own": "1", "other": "1"},
		},
		{
			"what a user has changed stays", func() { cluster.objects["own"].Set("user's", "data", "key") },
			Manifests{Own: []kubeapi.Object{configMap("own", "1")}, Others: []kubeapi.Object{configMap("other", "1")}},
			nil, map[string]string{"own": "user's", "other": "1"},
		},
		{
			"ours follow another rendering, others are only created", func() {},
			Manifests{Own: []kubeapi.Object{configMap("own", "2")}, Others: []kubeapi.Object{configMap("other", "2"), configMap("new", "2")}},
			[]string{"own"}, map[string]string{"own": "2", "other": "1", "new": "2"},
		},
	} {
		t.Run(step.name, func(t *testing.T) {
			cluster.applied = nil
			step.before()

			if err := step.manifests.Fill(t.Context(), api, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}

			got := map[string]string{}
			for name, object := range cluster.objects {
				got[name] = object.Text("data", "key")
			}

			if diff := cmp.Diff(step.want, got); diff != "" {
				t.Error(diff)
			}

			if diff := cmp.Diff(step.applied, cluster.applied); diff != "" {
				t.Error("applied", diff)
			}
		})
	}
}

func TestManifestsDifferWithTheConfig(t *testing.T) {
	mark := func(n Node) string {
		manifests, err := n.Manifests()
		if err != nil {
			t.Fatal(err)
		}

		text, err := manifests.Digest()
		if err != nil {
			t.Fatal(err)
		}

		return text
	}

	node := testNode(t)
	before := mark(node)

	if again := mark(node); again != before {
		t.Errorf("the same config: %s, then %s", before, again)
	}

	node.SettledPort++

	if after := mark(node); after == before {
		t.Error("another port is not seen")
	}
}
