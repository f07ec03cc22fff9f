package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreReadWrittenAndRemoved(t *testing.T) {
	dir := t.TempDir()
	served := handler(dir)

	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "outside"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	for _, step := range []struct {
		name, method, path, body string
		code                     int
		answer                   string
	}{
		{"nothing is there at first", "GET", "/files/mark", "", 404, ""},
		{"one is written", "PUT", "/files/mark", "first", 200, ""},
		{"and read", "GET", "/files/mark", "", 200, "first"},
		{"it is replaced whole", "PUT", "/files/mark", "2nd", 200, ""},
		{"and read again", "GET", "/files/mark", "", 200, "2nd"},
		{"too much is refused", "PUT", "/files/mark", strings.Repeat("x", fileLimit+1), 413, ""},
		{"and leaves the old one", "GET", "/files/mark", "", 200, "2nd"},
		{"nothing outside is seen", "GET", "/files/..%2foutside", "", 500, ""},
		{"other methods are refused", "POST", "/files/mark", "", 405, ""},
		{"it is removed", "DELETE", "/files/mark", "", 200, ""},
		{"and gone", "DELETE", "/files/mark", "", 404, ""},
	} {
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequest(step.method, step.path, bytes.NewBufferString(step.body)))

		if answer.Code != step.code || (step.code == http.StatusOK && answer.Body.String() != step.answer) {
			t.Fatalf("%s: %d %q, want %d %q", step.name, answer.Code, answer.Body, step.code, step.answer)
		}
	}

	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

func TestWithoutADirectoryNoFileIsServed(t *testing.T) {
	answer := httptest.NewRecorder()
	handler("").ServeHTTP(answer, httptest.NewRequest(http.MethodPut, "/files/mark", strings.NewReader("text")))

	if body := answer.Body.String(); strings.Contains(body, "text") || answer.Code != http.StatusOK {
		t.Errorf("%d %q, want the answer that every path has", answer.Code, body)
	}
}
