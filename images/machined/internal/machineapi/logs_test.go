package machineapi

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPodLogPatternStaysInItsDirectory(t *testing.T) {
	tests := []struct{ id, want string }{
		{"kube-system/kube-apiserver-a:kube-apiserver", "kube-system_kube-apiserver-a_*/kube-apiserver/*.log"},
		{"kube-system/kube-apiserver-a:kube-apiserver:0123456789ab", "kube-system_kube-apiserver-a_*/kube-apiserver/*.log"},
		{"kube-system/kube-apiserver-a", ""},
		{"kube-apiserver", ""},
		{"kube-system/../../etc:passwd", ""},
		{"kube-system/..:x", ""},
		{"*/*:*", ""},
		{"", ""},
	}

	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			got, ok := podLogPattern(test.id)
			if diff := cmp.Diff(test.want, got); diff != "" || ok != (test.want != "") {
				t.Error(ok, diff)
			}
		})
	}
}

func TestPodLogReadsTheNewestRestart(t *testing.T) {
	directory := t.TempDir()
	container := filepath.Join(directory, "kube-system_a_uid", "main")

	if err := os.MkdirAll(container, 0o700); err != nil {
		t.Fatal(err)
	}

	for name, text := range map[string]string{"2.log": "old\n", "10.log": "one\ntwo\nthree\n"} {
		if err := os.WriteFile(filepath.Join(container, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	s := &server{opts: Options{PodLogs: directory}}

	for tail, want := range map[int]string{-1: "one\ntwo\nthree\n", 2: "two\nthree\n", 9: "one\ntwo\nthree\n"} {
		reader, err := s.podLog(t.Context(), "kube-system/a:main", false, tail)
		if err != nil {
			t.Fatal(err)
		}

		got, err := io.ReadAll(reader)
		if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}

	if _, err := s.podLog(t.Context(), "kube-system/b:main", false, -1); status.Code(err) != codes.NotFound {
		t.Errorf("another pod: %v", err)
	}
}

func TestFollowedPodLogGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	follower := &fileFollower{ctx: ctx, path: path, at: 4}

	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	buffer := make([]byte, 16)

	n, err := follower.Read(buffer)
	if diff := cmp.Diff("two\n", string(buffer[:n])); diff != "" || err != nil {
		t.Error(err, diff)
	}

	cancel()

	if _, err := follower.Read(buffer); !errors.Is(err, io.EOF) {
		t.Errorf("after the end of the call: %v", err)
	}
}

func TestKernelRecordsBecomeLines(t *testing.T) {
	boot := time.Unix(1000, 0)
	got := kernelLine("6,339,5140900,-;NET: hello; there\n SUBSYSTEM=acpi\n", boot)

	if diff := cmp.Diff("kern:    info: [1970-01-01T00:16:45.1409Z]: NET: hello; there\n", got); diff != "" {
		t.Error(diff)
	}
}
