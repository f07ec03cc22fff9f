package rootfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// content reads all files below a directory, by relative path.
func content(t *testing.T, root string) map[string]string {
	t.Helper()

	found := map[string]string{}

	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}

		if entry.IsDir() {
			found[path] = "a directory"
			return nil
		}

		text, err := os.ReadFile(filepath.Join(root, path))
		found[path] = string(text)

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return found
}

func TestTreeHoldsItsFilesAndNoOthers(t *testing.T) {
	root := filepath.Join(t.TempDir(), "tree")

	for _, tc := range []struct {
		name  string
		files map[string]string
		want  map[string]string
	}{
		{"from nothing", map[string]string{"a/x": "1", "b": "2"}, map[string]string{"a": "a directory", "a/x": "1", "b": "2"}},
		{"one changed, one gone", map[string]string{"a/x": "3"}, map[string]string{"a": "a directory", "a/x": "3"}},
		{"a directory gone", map[string]string{"c": "4"}, map[string]string{"c": "4"}},
		{"all gone", nil, map[string]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := (rootfs.Tree{Path: root, Files: tc.files, Mode: 0o644}).Do(); err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(tc.want, content(t, root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTreeWithAPrefixLeavesOthersFiles(t *testing.T) {
	root := t.TempDir()

	for _, name := range []string{"ours-old", "theirs"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	if err := (rootfs.Tree{Path: root, Files: map[string]string{"ours-new": ""}, Mode: 0o644, Prefix: "ours-"}).Do(); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(map[string]string{"ours-new": "", "theirs": ""}, content(t, root)); diff != "" {
		t.Error(diff)
	}
}
