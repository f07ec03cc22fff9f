package files_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/files"
	"github.com/bronze-os/bronze/test/need"
)

// tree makes some of each kind of file.
func tree(t *testing.T) string {
	t.Helper()

	root := t.TempDir()

	for path, size := range map[string]int{"a": 1, "b/c": 5000, "b/d/e": 3} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o640); err != nil {
			t.Fatal(err)
		}
	}

	if err := errors.Join(os.Symlink("a", filepath.Join(root, "l")), unix.Mkfifo(filepath.Join(root, "p"), 0o600)); err != nil {
		t.Fatal(err)
	}

	return root
}

func TestWalkVisitsDirectoriesBeforeTheirContent(t *testing.T) {
	root := tree(t)

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name  string
		root  string
		depth int
		want  []string
	}{
		{"all", root, files.Unlimited, []string{".", "a", "b", "b/c", "b/d", "b/d/e", "l>a", "p"}},
		{"one level", root, 1, []string{".", "a", "b", "l>a", "p"}},
		{"the root alone", root, 0, []string{"."}},
		{"a link as the root", link, 1, []string{".", "a", "b", "l>a", "p"}},
		{"a file as the root", filepath.Join(root, "a"), files.Unlimited, []string{"."}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string

			err := files.Walk(t.Context(), test.root, test.depth, func(entry files.Entry) error {
				name := entry.Relative
				if entry.Link != "" {
					name += ">" + entry.Link
				}

				got = append(got, name)

				return entry.Err
			})
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestWalkOfNothingSaysSo(t *testing.T) {
	err := files.Walk(t.Context(), filepath.Join(t.TempDir(), "none"), 1, func(files.Entry) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestWalkEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	visited := 0

	err := files.Walk(ctx, "/proc", files.Unlimited, func(files.Entry) error {
		visited++
		cancel()

		return nil
	})
	if !errors.Is(err, context.Canceled) || visited != 1 {
		t.Errorf("%d visited: %v", visited, err)
	}
}

func TestUsageOfADirectoryIsAllBelowIt(t *testing.T) {
	root := tree(t)

	tests := []struct {
		name  string
		depth int
		all   bool
		want  []string
	}{
		{"the sum alone", 0, false, []string{"."}},
		{"directories, after their content", 9, false, []string{"b/d", "b", "."}},
		{"files too", 1, true, []string{"a", "b", "l", "p", "."}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string

			sizes := map[string]int64{}

			err := files.MeasureUsage(t.Context(), root, test.depth, test.all, func(usage files.Usage) error {
				got = append(got, usage.Relative)
				sizes[usage.Relative] = usage.Size

				return usage.Err
			})
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}

			// Three files of at least a block each, one of which needs two.
			if sizes["."] < 4*4096 || sizes["b"] > sizes["."] {
				t.Errorf("sizes: %v", sizes)
			}
		})
	}
}

func TestOpenReadsRegularFilesOnly(t *testing.T) {
	root := tree(t)

	for path, want := range map[string]error{
		filepath.Join(root, "b"):    files.ErrNotRegular,
		filepath.Join(root, "p"):    files.ErrNotRegular,
		filepath.Join(root, "none"): fs.ErrNotExist,
		"/dev/zero":                 files.ErrNotRegular,
	} {
		if _, err := files.Open(t.Context(), path); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}

	file, err := files.Open(t.Context(), filepath.Join(root, "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	if text, err := io.ReadAll(file); string(text) != "x" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// /proc/kmsg is a regular file that blocks until the kernel says something.
func TestAReadThatWaitsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())

	file, err := files.Open(ctx, "/proc/kmsg")
	if errors.Is(err, fs.ErrPermission) {
		need.Missing(t, "/proc/kmsg is not for this user")
	}

	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	ended := make(chan struct{})

	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, file)
	}()

	cancel()

	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the read goes on")
	}
}

func TestPackHoldsDirectoriesFilesAndLinks(t *testing.T) {
	root := tree(t)

	tests := []struct {
		name, root string
		want       []string
	}{
		{"a directory", root, []string{"./", "a 1", "b/", "b/c 5000", "b/d/", "b/d/e 3", "l>a"}},
		{"a file", filepath.Join(root, "b/c"), []string{"c 5000"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var packed bytes.Buffer
			if err := files.Pack(t.Context(), test.root, &packed); err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, unpack(t, &packed)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPackTakesWhatTheKernelTellsNoSizeOf(t *testing.T) {
	var packed bytes.Buffer
	if err := files.Pack(t.Context(), "/proc/self/limits", &packed); err != nil {
		t.Fatal(err)
	}

	text, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}

	got := unpack(t, &packed)
	if len(got) != 1 || !strings.HasPrefix(got[0], "limits ") || len(text) == 0 || got[0] == "limits 0" {
		t.Errorf("%q", got)
	}
}

// unpack lists an archive and proves that each file has the size that its header tells.
func unpack(t *testing.T, packed io.Reader) []string {
	t.Helper()

	zip, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}

	var names []string

	archive := tar.NewReader(zip)

	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}

		if err != nil {
			t.Fatal(err)
		}

		n, err := io.Copy(io.Discard, archive)
		if err != nil || n != header.Size {
			t.Fatalf("%s has %d bytes: %v", header.Name, n, err)
		}

		names = append(names, describe(header))
	}
}

func describe(header *tar.Header) string {
	switch header.Typeflag {
	case tar.TypeSymlink:
		return header.Name + ">" + header.Linkname
	case tar.TypeDir:
		return strings.TrimSuffix(header.Name, "/") + "/"
	default:
		return fmt.Sprintf("%s %d", header.Name, header.Size)
	}
}
