package build

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/node"
)

func packageArchive(t *testing.T) *bytes.Buffer {
	t.Helper()

	var content bytes.Buffer

	archive := tar.NewWriter(&content)

	for _, header := range []tar.Header{
		{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./bin/mount", Typeflag: tar.TypeReg, Mode: 0o4755},
		{Name: "./bin/sh", Typeflag: tar.TypeReg, Mode: 0o755},
		{Name: "./lib/x86_64-linux-gnu/libc.so.6", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "./sbin/modprobe", Typeflag: tar.TypeSymlink, Linkname: "/bin/kmod"},
		{Name: "./usr/share/b.crt", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "./usr/share/a.crt", Typeflag: tar.TypeReg, Mode: 0o644},
	} {
		data := []byte(header.Name + "\n")
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(data))
		}

		if err := archive.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}

		if header.Typeflag != tar.TypeReg {
			continue
		}

		if _, err := archive.Write(data); err != nil {
			t.Fatal(err)
		}
	}

	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}

	return &content
}

func TestPickTakesTheNamedFilesWithoutSetuid(t *testing.T) {
	picked, err := pick(packageArchive(t), node.Package{
		Files: []string{"/usr/bin/mount", "/usr/lib/*/libc.so.6", "/usr/sbin/modprobe"},
	})
	if err != nil {
		t.Fatal(err)
	}

	got := map[string]fs.FileMode{}
	for path, e := range picked {
		got[path] = e.mode
	}

	want := map[string]fs.FileMode{
		"/usr/bin/mount":                      0o755,
		"/usr/lib/x86_64-linux-gnu/libc.so.6": 0o644,
		"/usr/sbin/modprobe":                  fs.ModeSymlink | 0o777,
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("picked (-want +got):\n%s", difference)
	}
}

func TestPickRefusesAPatternThatMatchesNothing(t *testing.T) {
	_, err := pick(packageArchive(t), node.Package{Files: []string{"/usr/bin/mount", "/usr/bin/umount"}})
	if err == nil || !strings.Contains(err.Error(), "/usr/bin/umount") {
		t.Errorf("error %v, want one that names /usr/bin/umount", err)
	}
}

func TestPickJoinsABundleInTheOrderOfPaths(t *testing.T) {
	picked, err := pick(packageArchive(t), node.Package{Files: []string{"/usr/share/*.crt"}, Bundle: "/etc/certs"})
	if err != nil {
		t.Fatal(err)
	}

	if got, want := string(picked["/etc/certs"].data), "./usr/share/a.crt\n./usr/share/b.crt\n"; got != want || len(picked) != 1 {
		t.Errorf("bundle is %q among %d files, want %q alone", got, len(picked), want)
	}
}
