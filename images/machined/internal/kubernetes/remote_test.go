package kubernetes

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestManifestIsFetchedWithItsHeaders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Token") != "secret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}

		_, _ = w.Write([]byte("kind: A\n---\nkind: B\n"))
	}))
	t.Cleanup(server.Close)

	objects, err := download(t.Context(), server.URL, map[string]string{"Token": "secret"})
	if err != nil || len(objects) != 2 {
		t.Errorf("download = %v, %v", objects, err)
	}

	if _, err := download(t.Context(), server.URL, nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("without the header: %v", err)
	}
}

func TestManifestWithoutEndIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		line := []byte("# " + strings.Repeat("a", 1<<16) + "\n")
		for range manifestLimit/len(line) + 2 {
			_, _ = w.Write(line)
		}
	}))
	t.Cleanup(server.Close)

	if objects, err := download(t.Context(), server.URL, nil); err == nil {
		t.Errorf("took %d objects", len(objects))
	}
}
