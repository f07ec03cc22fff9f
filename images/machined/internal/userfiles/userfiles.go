// Package userfiles writes the files that the machine config brings. Those below /var last, as that is a volume;
// elsewhere the node is read-only, and a file that is there can be shown otherwise for as long as the config says so.
package userfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/config"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// The operations of machine.files.
const (
	create    = "create"
	overwrite = "overwrite"
	appendTo  = "append"
)

// record keeps, over a restart of machined, which files outside the volume are shown otherwise.
const record = "/run/engine/files.json"

// File is one entry of machine.files.
type File struct {
	Path, Content, Op string
	Mode              fs.FileMode
}

// Files are all of them, as a step. It tries each; the error names all that could not be written.
type Files struct {
	Entries []File
	// Volume is where files may be created, /var in a node.
	Volume string
}

// Of answers the files of a machine config.
func Of(entries []config.File) Files {
	files := Files{Volume: boot.EphemeralPath}

	for _, entry := range entries {
		files.Entries = append(files.Entries, File{
			Path: filepath.Clean(entry.Path()), Content: entry.Content(), Op: entry.Op(), Mode: entry.Permissions(),
		})
	}

	return files
}

// Do writes the files, and gives those outside the volume that are no longer wanted back their own content.
func (f Files) Do() error {
	before, err := load()
	if err != nil {
		return err
	}

	var (
		errs   []error
		shadow []string
	)

	for _, file := range f.Entries {
		if f.onVolume(file.Path) {
			errs = append(errs, file.write())
			continue
		}

		if err := file.show(); err != nil {
			errs = append(errs, err)
			continue
		}

		shadow = append(shadow, file.Path)
	}

	for _, path := range before {
		if !slices.Contains(shadow, path) {
			errs = append(errs, rootfs.Shadow{Path: path}.Do())
		}
	}

	return errors.Join(append(errs, save(shadow))...)
}

func (f Files) onVolume(path string) bool {
	return strings.HasPrefix(path, f.Volume+"/")
}

// write writes a file on the volume. What is to be appended is there once, however often that is done.
func (f File) write() error {
	current, err := os.ReadFile(f.Path)

	content := f.Content

	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot write file %s of the machine config: %w", f.Path, err)
	case f.Op != create && f.Op != overwrite && f.Op != appendTo:
		return unknown(f)
	case f.Op != create && err != nil:
		return missing(f)
	case f.Op == appendTo && strings.Contains(string(current), f.Content):
		return nil
	case f.Op == appendTo:
		content = string(current) + f.Content
	}

	if err := (rootfs.File{Path: f.Path, Content: content, Mode: f.Mode}).Do(); err != nil {
		return err
	}

	// The mode of a file that was there before, or one that the umask would narrow.
	if err := os.Chmod(f.Path, f.Mode); err != nil {
		return fmt.Errorf("cannot write file %s of the machine config: %w", f.Path, err)
	}

	return nil
}

// show changes what a file outside the volume seems to hold.
func (f File) show() error {
	_, err := os.Stat(f.Path)

	switch {
	case f.Op == create:
		return fmt.Errorf("cannot create file %s of the machine config: the node is read-only outside %s", f.Path, boot.EphemeralPath)
	case f.Op != overwrite && f.Op != appendTo:
		return unknown(f)
	case err != nil:
		return missing(f)
	}

	return rootfs.Shadow{Path: f.Path, Content: f.Content, Append: f.Op == appendTo}.Do()
}

func unknown(f File) error {
	return fmt.Errorf("cannot write file %s of the machine config: op is %q and must be create, overwrite or append", f.Path, f.Op)
}

func missing(f File) error {
	return fmt.Errorf("cannot %s file %s of the machine config: it is not there; use op create", f.Op, f.Path)
}

func load() ([]string, error) {
	text, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	var paths []string
	if err == nil {
		err = json.Unmarshal(text, &paths)
	}

	if err != nil {
		return nil, fmt.Errorf("cannot read which files the machine config has changed: %w", err)
	}

	return paths, nil
}

func save(paths []string) error {
	text, err := json.Marshal(paths)
	if err != nil {
		return fmt.Errorf("cannot encode which files the machine config has changed: %w", err)
	}

	return rootfs.File{Path: record, Content: string(text), Mode: 0o600}.Do()
}
