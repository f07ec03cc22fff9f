package build

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/bronze-os/bronze/images/node"
)

// architecture is the one that node.yaml's packages are for.
const architecture = "amd64"

// fetch brings every package into the cache and answers its .deb there, by the package's name.
func (b builder) fetch(ctx context.Context, packages []node.Package) (debs map[string]string, err error) {
	err = b.step("packages", func() (cached bool, err error) {
		debs = map[string]string{}

		var missing []node.Package

		for _, p := range packages {
			debs[p.Name] = b.debPath(p)
			if _, err := os.Stat(debs[p.Name]); err != nil {
				missing = append(missing, p)
			}
		}

		return len(missing) == 0, b.download(ctx, missing)
	})

	return debs, err
}

func (b builder) debPath(p node.Package) string {
	return filepath.Join(b.cache.dir, "packages", p.SHA256+".deb")
}

// download asks apt for exact versions, and takes from what came the files with the wanted checksums.
func (b builder) download(ctx context.Context, packages []node.Package) error {
	if len(packages) == 0 {
		return nil
	}

	parent := filepath.Join(b.cache.dir, "packages")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}

	scratch, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	message, err := aptDownload(ctx, scratch, packages)
	if err != nil {
		return err
	}

	came, err := bySHA256(scratch)
	if err != nil {
		return err
	}

	for _, p := range packages {
		if came[p.SHA256] == "" {
			return unservedError(p, message)
		}

		if err := os.Rename(came[p.SHA256], b.debPath(p)); err != nil {
			return err
		}
	}

	return nil
}

// aptDownload answers what apt said. That some package did not come is no error here: the checksums tell which.
func aptDownload(ctx context.Context, dir string, packages []node.Package) (message string, err error) {
	arguments := []string{"download", "-q"}
	for _, p := range packages {
		arguments = append(arguments, p.Name+"="+p.Version)
	}

	command := exec.CommandContext(ctx, "apt-get", arguments...)
	command.Dir = dir

	output, err := command.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("cannot run apt-get, the node image is built on Debian 12: %w", err)
	}

	return string(output), ctx.Err()
}

func unservedError(p node.Package, message string) error {
	return fmt.Errorf("cannot get Debian package %s=%s with sha256 %s; run `apt-get update`, and if it is no longer served, "+
		"put the version that `apt-cache policy %s` names and its checksum into images/node/node.yaml\n%s",
		p.Name, p.Version, p.SHA256, p.Name, message)
}

// bySHA256 maps the checksum of each .deb in dir to its path.
func bySHA256(dir string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return nil, err
	}

	found := map[string]string{}

	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}

		sum := sha256.Sum256(content)
		found[hex.EncodeToString(sum[:])] = name
	}

	return found, nil
}

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
		return nil, fmt.Errorf("Debian package %s %s: %w", p.Name, p.Version, err)
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
	any := false

	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			used[pattern], any = true, true
		}
	}

	return any
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
