package machineapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
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

// podLogs makes logs of the container kube-system/a:main, and a server that reads them.
func podLogs(t *testing.T, logs map[string]string) (*server, string) {
	t.Helper()

	directory := t.TempDir()
	container := filepath.Join(directory, "kube-system_a_uid", "main")

	if err := os.MkdirAll(container, 0o700); err != nil {
		t.Fatal(err)
	}

	for name, text := range logs {
		if err := os.WriteFile(filepath.Join(container, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	return &server{opts: Options{PodLogs: directory}}, container
}

func TestPodLogReadsTheNewestRestart(t *testing.T) {
	s, _ := podLogs(t, map[string]string{"2.log": "old\n", "10.log": "one\ntwo\nthree\n"})

	for tail, want := range map[int]string{-1: "one\ntwo\nthree\n", 0: "", 2: "two\nthree\n", 9: "one\ntwo\nthree\n"} {
		reader, err := s.podLog(t.Context(), "kube-system/a:main", false, tail)
		if err != nil {
			t.Fatal(err)
		}

		got, err := io.ReadAll(reader)
		if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
			t.Error(tail, err, diff)
		}

		reader.Close()
	}

	if _, err := s.podLog(t.Context(), "kube-system/b:main", false, -1); status.Code(err) != codes.NotFound {
		t.Errorf("another pod: %v", err)
	}
}

func TestTheTailOfALongPodLogIsFoundFromItsEnd(t *testing.T) {
	line := strings.Repeat("x", 999) + "\n"
	s, _ := podLogs(t, map[string]string{"0.log": strings.Repeat(line, 200)})

	for tail, want := range map[int]int{1: 1, 33: 33, 100: 100, 200: 200, 300: 200} {
		reader, err := s.podLog(t.Context(), "kube-system/a:main", false, tail)
		if err != nil {
			t.Fatal(err)
		}

		got, err := io.ReadAll(reader)
		if string(got) != strings.Repeat(line, want) || err != nil {
			t.Errorf("%d lines became %d bytes: %v", tail, len(got), err)
		}

		reader.Close()
	}
}

func TestFollowedPodLogGrowsAndRotates(t *testing.T) {
	const head = "2026-01-02T03:04:05.6Z stderr F "

	s, container := podLogs(t, map[string]string{"0.log": head + "one\n"})
	ctx, cancel := context.WithCancel(t.Context())

	reader, err := s.podLog(ctx, "kube-system/a:main", true, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()

	lines := bufio.NewReader(reader)
	path := filepath.Join(container, "0.log")

	for _, want := range []string{"one\n", "two\n", "three\n"} {
		got, err := lines.ReadString('\n')
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(err, diff)
		}

		switch want {
		case "one\n":
			err = os.WriteFile(path, []byte(head+"one\n"+head+"two\n"), 0o600)
		case "two\n":
			err = errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, []byte(head+"three\n"), 0o600))
		}

		if err != nil {
			t.Fatal(err)
		}
	}

	cancel()

	if _, err := lines.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("after the end of the call: %v", err)
	}
}

func TestPlainLinesAreWhatTheContainerWrote(t *testing.T) {
	const head = "2026-01-02T03:04:05.6Z "

	long := strings.Repeat("y", 3*lineSize)
	tests := []struct{ name, log, want string }{
		{"whole lines", head + "stdout F a b\n" + head + "stderr F \n", "a b\n\n"},
		{"a line in pieces", head + "stdout P a\n" + head + "stdout F b\n", "ab\n"},
		{"no newline at the end", head + "stdout F a", "a"},
		{"another form", "hello there\n\nstdout F x\n", "hello there\n\nstdout F x\n"},
		{"a line without end", head + "stdout F " + long + "\n" + head + "stdout F b\n", long + "\nb\n"},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := io.ReadAll(newPlainLines(strings.NewReader(test.log)))
			if diff := cmp.Diff(test.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestKernelRecordsBecomeLines(t *testing.T) {
	boot := time.Unix(1000, 0)
	got := kernelLine("6,339,5140900,-;NET: hello; there\n SUBSYSTEM=acpi\n", boot)

	if diff := cmp.Diff("kern:    info: [1970-01-01T00:16:45.1409Z]: NET: hello; there\n", got); diff != "" {
		t.Error(diff)
	}
}
