package kubernetes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

func TestOnlyLeasesOfTheNodesOwnLastRunAreReleased(t *testing.T) {
	tests := []struct {
		name, holder string
		// status answers the PUT.
		status int
		want   []string
	}{
		{"its own", "cp-1_2e8ad2bc", http.StatusOK, []string{"kube-controller-manager", "kube-scheduler"}},
		{"another node's", "cp-2_2e8ad2bc", http.StatusOK, nil},
		{"one whose node's name begins alike", "cp-10_2e8ad2bc", http.StatusOK, nil},
		{"nobody's", "", http.StatusOK, nil},
		{"one that was taken meanwhile", "cp-1_2e8ad2bc", http.StatusConflict, []string{"kube-controller-manager", "kube-scheduler"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var put []string

			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_ = json.NewEncoder(w).Encode(map[string]any{
						"metadata": map[string]any{"name": r.URL.Path[len(leasesPath):], "resourceVersion": "7"},
						"spec":     map[string]any{"holderIdentity": test.holder},
					})

					return
				}

				var lease kubeapi.Object
				if err := json.NewDecoder(r.Body).Decode(&lease); err != nil || lease.Text("spec", "holderIdentity") != "" || lease.Text("metadata", "resourceVersion") != "7" {
					t.Errorf("put %v, %v", lease, err)
				}

				put = append(put, lease.Name())

				w.WriteHeader(test.status)
				_, _ = w.Write([]byte("{}"))
			}))
			t.Cleanup(server.Close)

			api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
			t.Cleanup(api.Close)

			if err := ReleaseLeases(t.Context(), api, "cp-1"); err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, put); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestThereAreNoLeasesInANewCluster(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)

	api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
	t.Cleanup(api.Close)

	if err := ReleaseLeases(t.Context(), api, "cp-1"); err != nil {
		t.Error(err)
	}
}
