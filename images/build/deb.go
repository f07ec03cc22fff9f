package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"strings"

	"github.com/bronze-os/bronze/images/node"
)

// unpack answers the files of a .deb that its package names, for the base layer.
func unpack(ctx context.Context, p node.Package, deb string) (tree, error) {
	command := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)

	var stderr bytes.Buffer
	command.Stderr = &stderr

	archive, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot unpack Debian package %s: %w\n%s", p.Name, err, stderr.Bytes())
	}

	picked, err := pick(bytes.NewReader(archive), p)
	if err != nil {
		return nil, fmt.Errorf("unpacking Debian package %s %s: %w", p.Name, p.Version, err)
	}

	return picked, nil
}

// pick takes from a package's archive the files that its patterns name. A pattern that matches none is an error: the
// package has changed.
func pick(archive io.Reader, p node.Package) (tree, error) {
	picked, used := tree{}, map[string]bool{}

	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return nil, err
		}

		name := mergedPath(header.Name)
		if header.Typeflag == tar.TypeDir || !matches(name, p.Files, used) {
			continue
		}

		if err := picked.addTar(name, header, reader); err != nil {
			return nil, err
		}
	}

	for _, pattern := range p.Files {
		if !used[pattern] {
			return nil, fmt.Errorf("cannot find a file that matches %s", pattern)
		}
	}

	if p.Bundle != "" {
		return picked.bundle(p.Bundle)
	}

	return picked, nil
}

// mergedPath is where a package's file is once /bin, /lib, /lib64 and /sbin are links into /usr.
func mergedPath(name string) string {
	name = path.Clean("/" + name)

	switch top, _, _ := strings.Cut(name[1:], "/"); top {
	case "bin", "lib", "lib64", "sbin":
		return "/usr" + name
	default:
		return name
	}
}

// matches tells whether a pattern matches, and notes each that does.
func matches(name string, patterns []string, used map[string]bool) bool {
	matched := false

	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			used[pattern], matched = true, true
		}
	}

	return matched
}

// addTar adds a file of a package. Permission bits are kept, setuid and setgid are not: nothing in a node changes user.
func (t tree) addTar(name string, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeSymlink:
		return t.add(name, entry{mode: fs.ModeSymlink | 0o777, target: header.Linkname})
	case tar.TypeReg:
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}

		return t.addData(name, layerBase, fs.FileMode(header.Mode)&0o777, data)
	default:
		return fmt.Errorf("cannot take %s, a file of type %q", name, header.Typeflag)
	}
}

// bundle joins all files of the tree into one.
func (t tree) bundle(name string) (tree, error) {
	var joined []byte
	for _, file := range t.paths() {
		joined = append(joined, t[file].data...)
	}

	bundled := tree{}

	return bundled, bundled.addData(name, layerBase, 0o644, joined)
}
