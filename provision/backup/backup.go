// Package backup keeps snapshots of clusters' etcd in the state directory: taken from a member, proven whole before they
// count, the newest few. It may import provision, and the reader of etcd's file format, which is bbolt; etcd itself is
// not needed.
package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// Kept is how many snapshots of a cluster are kept.
	Kept = 5

	snapshotSuffix = ".db"
	factsSuffix    = ".json"
	// partSuffix marks what is not proven whole yet.
	partSuffix = ".part"
	// timeLayout begins a snapshot's name, so that names sort by time.
	timeLayout = "20060102T150405.000000Z"
)

// ErrNone says that a cluster has no snapshot that can be used.
var ErrNone = errors.New("there is no snapshot")

// Source streams etcd's data as one member has it, with etcd's checksum at its end.
type Source interface {
	Snapshot(ctx context.Context, via provision.Node, w io.Writer) error
}

// Snapshot is one that was taken and proven whole.
type Snapshot struct {
	// Path is the file, absolute.
	Path string `json:"path"`
	// Node is the control plane whose member it is of; empty where that is not known.
	Node string `json:"node,omitempty"`
	// Taken is when, by this host's clock.
	Taken time.Time `json:"taken"`
	Contents
}

// Shelf holds the snapshots of one cluster:
//
//	<state directory>/clusters/<name>/snapshots/<UTC time>-<node>.db
//	<state directory>/clusters/<name>/snapshots/<UTC time>-<node>.json
//
// A file that ends with .db has been proven whole. They go with the cluster's state.
type Shelf struct {
	dir string
}

// Of is the shelf of a cluster.
func Of(store *provision.Store, cluster string) Shelf {
	return Shelf{dir: store.SnapshotsDir(cluster)}
}

// In is a shelf in a directory of the caller's own.
func In(dir string) Shelf {
	return Shelf{dir: dir}
}

// Take has a member send a snapshot, proves it, and lets the oldest go that are more than Kept. What was there stays where
// it fails. The caller holds the cluster's lock.
func (s Shelf) Take(ctx context.Context, source Source, via provision.Node) (Snapshot, error) {
	snapshot, err := s.take(ctx, source, via)
	if err != nil {
		return Snapshot{}, fmt.Errorf("taking an etcd snapshot from %q: %w", via.Name, err)
	}
	return snapshot, s.trim()
}

func (s Shelf) take(ctx context.Context, source Source, via provision.Node) (Snapshot, error) {
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return Snapshot{}, fmt.Errorf("cannot make directory: %w", err)
	}
	taken := time.Now().UTC().Truncate(time.Microsecond)
	path := filepath.Join(s.dir, taken.Format(timeLayout)+"-"+via.Name+snapshotSuffix)
	part := path + partSuffix
	err := receive(ctx, source, via, part)
	if err != nil {
		return Snapshot{}, errors.Join(err, os.RemoveAll(part))
	}
	contents, err := Inspect(part)
	if err != nil {
		return Snapshot{}, errors.Join(err, os.RemoveAll(part))
	}
	snapshot := Snapshot{Path: path, Node: via.Name, Taken: taken, Contents: contents}
	// Before the snapshot itself, so that none is there without.
	if err := writeFacts(snapshot); err != nil {
		return Snapshot{}, errors.Join(err, os.RemoveAll(part))
	}
	if err := os.Rename(part, path); err != nil {
		return Snapshot{}, fmt.Errorf("cannot keep the snapshot: %w", err)
	}
	return snapshot, nil
}

func receive(ctx context.Context, source Source, via provision.Node, path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return fmt.Errorf("cannot keep the snapshot: %w", err)
	}
	err = source.Snapshot(ctx, via, file)
	return errors.Join(err, file.Sync(), file.Close())
}

func writeFacts(snapshot Snapshot) error {
	text, err := json.MarshalIndent(snapshot, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode what the snapshot holds: %w", err)
	}
	return provision.WriteFile(factsPath(snapshot.Path), append(text, '\n'))
}

func factsPath(path string) string {
	return strings.TrimSuffix(path, snapshotSuffix) + factsSuffix
}

// List tells of the snapshots that are kept, the newest first. One that lost the file with its facts is read anew, and left
// out where it is not whole any more.
func (s Shelf) List() ([]Snapshot, error) {
	paths, err := s.paths()
	if err != nil {
		return nil, err
	}
	snapshots := []Snapshot{}
	for _, path := range paths {
		snapshot, err := readFacts(path)
		if err != nil {
			if snapshot, err = Read(path); err != nil {
				continue
			}
		}
		snapshots = append(snapshots, snapshot)
	}
	return snapshots, nil
}

// paths are those of the snapshots, the newest first.
func (s Shelf) paths() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "*"+snapshotSuffix))
	if err != nil {
		return nil, fmt.Errorf("cannot list snapshots: %w", err)
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	return paths, nil
}

func readFacts(path string) (Snapshot, error) {
	text, err := os.ReadFile(factsPath(path))
	if err != nil {
		return Snapshot{}, err
	}
	var snapshot Snapshot
	if err := json.Unmarshal(text, &snapshot); err != nil {
		return Snapshot{}, err
	}
	// The state directory may have been moved.
	snapshot.Path = path
	return snapshot, nil
}

// Read proves the file at path, wherever it is from, and tells of it. It was taken when its name says, or else when it was
// last written.
func Read(path string) (Snapshot, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Snapshot{}, fmt.Errorf("cannot use snapshot %s: %w", path, err)
	}
	contents, err := Inspect(path)
	if err != nil {
		return Snapshot{}, err
	}
	snapshot := Snapshot{Path: path, Contents: contents}
	if info, err := os.Stat(path); err == nil {
		snapshot.Taken = info.ModTime().UTC()
	}
	stamp, node, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), snapshotSuffix), "-")
	if taken, err := time.Parse(timeLayout, stamp); err == nil {
		snapshot.Taken, snapshot.Node = taken, node
	}
	return snapshot, nil
}

// Newest is the newest snapshot that is still whole, as is proven now. ErrNone where there is none.
func (s Shelf) Newest() (Snapshot, error) {
	paths, err := s.paths()
	if err != nil {
		return Snapshot{}, err
	}
	refusals := []error{ErrNone}
	for _, path := range paths {
		snapshot, err := Read(path)
		if err == nil {
			return snapshot, nil
		}
		refusals = append(refusals, err)
	}
	return Snapshot{}, errors.Join(refusals...)
}

// trim removes the oldest snapshots that are too many, and what a process that died left of one. Facts go last: they
// alone are no snapshot.
func (s Shelf) trim() error {
	paths, err := s.paths()
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, path := range paths[:min(Kept, len(paths))] {
		kept[path], kept[factsPath(path)] = true, true
	}
	var errs []error
	for _, suffix := range []string{snapshotSuffix, snapshotSuffix + partSuffix, factsSuffix} {
		found, err := filepath.Glob(filepath.Join(s.dir, "*"+suffix))
		errs = append(errs, err)
		for _, path := range found {
			if !kept[path] {
				errs = append(errs, os.Remove(path))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot remove old snapshots: %w", err)
	}
	return nil
}
