package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

func TestMirrorsThatAreOutOfDateAreMadeAnew(t *testing.T) {
	node := testNode(t)
	dir := t.TempDir()

	content, err := node.scheduler().manifest("cp")
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "kube-scheduler.yaml"), content, 0o600); err != nil {
		t.Fatal(err)
	}

	current := parsed(t, string(content)).Text("metadata", "annotations", manifestAnnotation)

	for _, tc := range []struct {
		name, pod, annotation string
		want                  []string
	}{
		{"a mirror of the manifest", "kube-scheduler-cp", current, nil},
		{"a mirror of one before", "kube-scheduler-cp", "other", []string{
			"deleted /api/v1/namespaces/kube-system/pods/kube-scheduler-cp",
			"made kube-scheduler-cp on cp of h, owned by [o], as " + current,
		}},
		{"a mirror of nothing that is there", "kube-apiserver-cp", "other", nil},
		{"another pod", "stranger", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			var done []string

			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodDelete:
					done = append(done, "deleted "+r.URL.Path)
				case r.Method == http.MethodPost:
					var made kubeapi.Object
					if err := json.NewDecoder(r.Body).Decode(&made); err != nil {
						t.Error(err)
					}

					done = append(done, fmt.Sprintf("made %s on %s of %s, owned by %s, as %s", made.Name(), made.Text("spec", "nodeName"),
						made.Text("metadata", "annotations", "kubernetes.io/config.hash"), made.Map("metadata")["ownerReferences"],
						made.Text("metadata", "annotations", manifestAnnotation)))
				case r.URL.Query().Get("watch") != "":
					// All have been handled.
					cancel()
				default:
					fmt.Fprintf(w, `{"items": [{"metadata": {"name": %q, "namespace": "kube-system", "ownerReferences": ["o"],
						"annotations": {"kubernetes.io/config.hash": "h", %q: %q}}}]}`, tc.pod, manifestAnnotation, tc.annotation)
				}
			}))
			defer server.Close()

			api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
			defer api.Close()

			_ = Mirrors{API: api, Node: "cp", Dir: dir}.Run(ctx)

			if diff := cmp.Diff(tc.want, done); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestManifestThatChangesIsTheSamePodWithAnotherContainer(t *testing.T) {
	before := manifest(t, testNode(t), componentAPIServer)
	node := patched(t, "cluster: {apiServer: {admissionControl: [{name: X, configuration: {a: b}}]}}")
	after := manifest(t, node, componentAPIServer)

	if before.Text("metadata", "uid") != after.Text("metadata", "uid") {
		t.Error("the pods differ in their UID")
	}

	if cmp.Equal(before.List("spec", "containers"), after.List("spec", "containers")) {
		t.Error("the containers are equal, and the kubelet would not restart them")
	}

	if before.Text("metadata", "annotations", manifestAnnotation) == after.Text("metadata", "annotations", manifestAnnotation) {
		t.Error("the mirror would not be renewed")
	}

	node.Name = "other"
	if other := manifest(t, node, componentAPIServer); other.Text("metadata", "uid") == after.Text("metadata", "uid") {
		t.Error("pods of two nodes have one UID")
	}
}
