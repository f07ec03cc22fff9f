package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/node"
)

func TestTreeRefusesWhatANodeMustNotHave(t *testing.T) {
	tests := []struct {
		name  string
		path  string
		entry entry
		want  string
	}{
		{"two files for one path", "/etc/passwd", entry{mode: 0o644}, "twice"},
		{"a file where a directory is", "/run", entry{mode: 0o644}, "twice"},
		{"a directory with another mode", "/run", entry{mode: fs.ModeDir | 0o700}, "twice"},
		{"a relative path", "etc/group", entry{mode: 0o644}, "clean absolute path"},
		{"a path that climbs", "/etc/../group", entry{mode: 0o644}, "clean absolute path"},
		{"a setuid file", "/usr/bin/su", entry{mode: 0o755 | fs.ModeSetuid}, "setuid"},
		{"a setgid file", "/usr/bin/wall", entry{mode: 0o755 | fs.ModeSetgid}, "setuid"},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := tree{"/etc/passwd": {mode: 0o644}, "/run": {mode: fs.ModeDir | 0o755}}

			err := all.add(test.path, test.entry)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("adding %s: error %v, want one with %q", test.path, err, test.want)
			}
		})
	}
}

func TestTreeTakesOneDirectoryTwice(t *testing.T) {
	all := tree{}
	directories := []node.Directory{{Path: "/run"}, {Path: "/run", Mode: "0755"}}

	if err := all.addDirectories(layerBase, directories); err != nil {
		t.Error(err)
	}
}

func TestTreeRefusesAFileBelowALink(t *testing.T) {
	all := tree{"/bin": {mode: fs.ModeSymlink | 0o777, target: "usr/bin"}, "/bin/nft": {mode: 0o755}}

	if err := all.check(); err == nil {
		t.Error("a file below a link was taken; unpacked, it would be elsewhere than the image says")
	}
}

func TestDirectoryModes(t *testing.T) {
	tests := map[string]fs.FileMode{
		"0755": fs.ModeDir | 0o755,
		"1777": fs.ModeDir | fs.ModeSticky | 0o777,
		"2755": 0,
		"rwx":  0,
	}

	for octal, want := range tests {
		got, err := directoryMode(octal)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("mode %s: got %v and error %v, want %v", octal, got, err, want)
		}
	}
}

func TestArchiveIsSortedAndOwnedByRoot(t *testing.T) {
	all := tree{}
	if err := errors.Join(
		all.addData("/usr/bin/b", layerComponents, 0o755, []byte("program")),
		all.addDirectories(layerBase, []node.Directory{{Path: "/tmp", Mode: "1777"}, {Path: "/usr"}}),
		all.addLinks(layerComponents, []node.Link{{Path: "/usr/bin/a", Target: "b"}}),
	); err != nil {
		t.Fatal(err)
	}

	type listed struct {
		Name, Link string
		Mode       int64
		Size       int64
	}

	want := []listed{
		{Name: "usr/", Mode: 0o755},
		{Name: "usr/bin/", Mode: 0o755},
		{Name: "usr/bin/a", Link: "b", Mode: 0o777},
		{Name: "usr/bin/b", Mode: 0o755, Size: 7},
	}

	var got []listed

	for _, header := range headers(t, all.of(layerComponents)) {
		got = append(got, listed{header.Name, header.Linkname, header.Mode, header.Size})

		if header.Uid != 0 || header.Gid != 0 || header.Uname != "" || !header.ModTime.Equal(epoch()) {
			t.Errorf("%s has an owner or a time of its own: %+v", header.Name, header)
		}
	}

	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("archive (-want +got):\n%s", difference)
	}
}

func headers(t *testing.T, all tree) []*tar.Header {
	t.Helper()

	var archive bytes.Buffer
	if err := all.writeTar(&archive); err != nil {
		t.Fatal(err)
	}

	var found []*tar.Header

	for reader := tar.NewReader(&archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}

		if err != nil {
			t.Fatal(err)
		}

		found = append(found, header)
	}
}
