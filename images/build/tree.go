package build

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bronze-os/bronze/images/node"
)

// layer orders the parts of the image by how seldom they change; an engine that has the first ones loads the rest.
type layer int

const (
	layerBase layer = iota
	layerComponents
	layerContainer
	layerOwn
)

func (l layer) String() string {
	return [...]string{"base", "components", "container", "own"}[l]
}

func layers() []layer {
	return []layer{layerBase, layerComponents, layerContainer, layerOwn}
}

// entry is one file, directory or link of an image. Owners are always 0:0, times always the epoch.
type entry struct {
	layer layer
	// mode has the type and the permission bits, and the sticky bit of directories; never setuid or setgid.
	mode fs.FileMode
	// target is where a link points.
	target string
	// A regular file's content is data, or the host's file at path from, of size bytes.
	data []byte
	from string
	size int64
}

// tree is an image as paths (absolute, clean) and what is there.
type tree map[string]entry

// add puts an entry into the tree. Two entries for one path are a conflict, unless both are the same directory.
func (t tree) add(name string, e entry) error {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
		return fmt.Errorf("cannot add %q: not a clean absolute path", name)
	}

	if e.mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		return fmt.Errorf("cannot add %s: setuid and setgid files are not for a node", name)
	}

	if there, ok := t[name]; ok && !(there.mode.IsDir() && there.mode == e.mode) {
		return fmt.Errorf("cannot add %s twice", name)
	}

	t[name] = e

	return nil
}

func (t tree) addData(name string, in layer, perm fs.FileMode, data []byte) error {
	return t.add(name, entry{layer: in, mode: perm, data: data, size: int64(len(data))})
}

func (t tree) addFile(name string, in layer, perm fs.FileMode, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}

	return t.add(name, entry{layer: in, mode: perm, from: from, size: info.Size()})
}

func (t tree) addLinks(in layer, links []node.Link) error {
	var errs []error
	for _, link := range links {
		errs = append(errs, t.add(link.Path, entry{layer: in, mode: fs.ModeSymlink | 0o777, target: link.Target}))
	}

	return errors.Join(errs...)
}

func (t tree) addDirectories(in layer, directories []node.Directory) error {
	var errs []error

	for _, directory := range directories {
		mode, err := directoryMode(cmp.Or(directory.Mode, "0755"))
		errs = append(errs, err, t.add(directory.Path, entry{layer: in, mode: mode}))
	}

	return errors.Join(errs...)
}

// directoryMode reads an octal mode of permission bits and the sticky bit.
func directoryMode(octal string) (fs.FileMode, error) {
	bits, err := strconv.ParseUint(octal, 8, 32)
	if err != nil || bits > 0o1777 {
		return 0, fmt.Errorf("cannot use %q as a directory's mode", octal)
	}

	mode := fs.ModeDir | fs.FileMode(bits&0o777)
	if bits&0o1000 != 0 {
		mode |= fs.ModeSticky
	}

	return mode, nil
}

// check finds what would not unpack: an entry below a path that is no directory.
func (t tree) check() error {
	for _, name := range t.paths() {
		for parent := path.Dir(name); parent != "/"; parent = path.Dir(parent) {
			if above, ok := t[parent]; ok && !above.mode.IsDir() {
				return fmt.Errorf("cannot add %s: %s is not a directory", name, parent)
			}
		}
	}

	return nil
}

func (t tree) paths() []string {
	return slices.Sorted(maps.Keys(t))
}

// of is the part of the tree that is in one layer, with every parent directory of it.
func (t tree) of(in layer) tree {
	part := tree{}

	for name, e := range t {
		if e.layer != in {
			continue
		}

		part[name] = e

		for parent := path.Dir(name); parent != "/"; parent = path.Dir(parent) {
			part[parent] = entry{mode: fs.ModeDir | 0o755}
			if declared, ok := t[parent]; ok {
				part[parent] = declared
			}
		}
	}

	return part
}

// size is the sum of the files' sizes in bytes.
func (t tree) size() int64 {
	var sum int64
	for _, e := range t {
		sum += e.size
	}

	return sum
}

// writeTar writes the tree in the order of its paths; equal trees give equal bytes.
func (t tree) writeTar(w io.Writer) error {
	archive := tar.NewWriter(w)

	for _, name := range t.paths() {
		if err := t[name].write(archive, name); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}

	return archive.Close()
}

func (e entry) write(archive *tar.Writer, name string) error {
	if err := archive.WriteHeader(e.header(name)); err != nil {
		return err
	}

	if !e.mode.IsRegular() {
		return nil
	}

	content, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()

	_, err = io.Copy(archive, content)

	return err
}

func (e entry) header(name string) *tar.Header {
	header := &tar.Header{
		Name:    strings.TrimPrefix(name, "/"),
		Mode:    int64(e.mode.Perm()),
		ModTime: epoch(),
		Format:  tar.FormatUSTAR,
	}

	switch {
	case e.mode.IsDir():
		header.Typeflag = tar.TypeDir
		header.Name += "/"

		if e.mode&fs.ModeSticky != 0 {
			header.Mode |= 0o1000
		}
	case e.mode&fs.ModeSymlink != 0:
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.target
	default:
		header.Typeflag, header.Size = tar.TypeReg, e.size
	}

	return header
}

func (e entry) open() (io.ReadCloser, error) {
	if e.from == "" {
		return io.NopCloser(bytes.NewReader(e.data)), nil
	}

	return os.Open(e.from)
}

// epoch is the time of every file and of the image itself. Unix time 0 is not used, since tools take it for unset.
func epoch() time.Time {
	return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
}
