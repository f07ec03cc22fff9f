package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/backup"
	"github.com/bronze-os/bronze/provision/backup/backuptest"
)

// member is an etcd that sends its data, and then fails where err is set.
type member struct {
	data []byte
	err  error
}

func (m member) Snapshot(_ context.Context, _ provision.Node, w io.Writer) error {
	_, err := w.Write(m.data)
	return errors.Join(err, m.err)
}

func snapshotOf(t *testing.T, first int64, changes []backuptest.Change) []byte {
	t.Helper()
	data, err := backuptest.Snapshot(first, changes)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func shelf(t *testing.T) (backup.Shelf, string) {
	t.Helper()
	store, err := provision.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return backup.Of(store, "dev"), store.SnapshotsDir("dev")
}

func via() provision.Node {
	return provision.Node{Name: "dev-controlplane-2"}
}

func TestSnapshotIsToldOfAndListed(t *testing.T) {
	s, dir := shelf(t)
	changes := append(backuptest.Puts(3), backuptest.Change{Key: backuptest.Puts(1)[0].Key, Deleted: true})
	data := snapshotOf(t, 40, changes)
	taken, err := s.Take(t.Context(), member{data: data}, via())
	if err != nil {
		t.Fatal(err)
	}
	if taken.Revision != 43 || taken.Keys != 2 || taken.Size != int64(len(data)) || taken.Node != via().Name {
		t.Errorf("it tells %+v", taken)
	}
	kept, err := os.ReadFile(taken.Path)
	if err != nil || !bytes.Equal(kept, data) {
		t.Errorf("other data are kept (%v)", err)
	}
	for _, entry := range entries(t, dir) {
		info, err := os.Stat(filepath.Join(dir, entry))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", entry, info.Mode(), err)
		}
	}
	listed, err := s.List()
	if diff := cmp.Diff([]backup.Snapshot{taken}, listed); diff != "" || err != nil {
		t.Errorf("listed (-taken +listed), %v:\n%s", err, diff)
	}
	newest, err := s.Newest()
	if diff := cmp.Diff(taken, newest); diff != "" || err != nil {
		t.Errorf("newest (-taken +newest), %v:\n%s", err, diff)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

func TestSnapshotThatIsNotWholeIsNotKept(t *testing.T) {
	database, err := backuptest.Database(1, backuptest.Puts(100))
	if err != nil {
		t.Fatal(err)
	}
	whole := snapshotOf(t, 1, backuptest.Puts(100))
	withSum := func(data []byte) []byte {
		sum := sha256.Sum256(data)
		return append(bytes.Clone(data), sum[:]...)
	}
	changed := bytes.Clone(whole)
	changed[len(changed)/2]++
	unkeyed, err := backuptest.Database(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	unkeyed = bytes.ReplaceAll(unkeyed, []byte("key"), []byte("yek"))
	for name, test := range map[string]struct {
		member member
		want   string
	}{
		"a member that fails on the way":        {member{whole, errors.New("connection reset")}, "connection reset"},
		"nothing":                               {member{}, "cut short"},
		"without its checksum":                  {member{data: database}, "no checksum"},
		"cut short":                             {member{data: whole[:len(whole)-512]}, "checksum does not fit"},
		"changed on the way":                    {member{data: changed}, "checksum does not fit"},
		"something else with a checksum":        {member{data: withSum(make([]byte, 8192))}, "no database of etcd"},
		"half a database with a checksum":       {member{data: withSum(database[:len(database)/2/512*512])}, "cannot use snapshot"},
		"a database of something else":          {member{data: withSum(unkeyed)}, "keys' bucket"},
		"less than a page with a good checksum": {member{data: withSum(database[:512])}, "no database of etcd"},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := shelf(t)
			if _, err := s.Take(t.Context(), test.member, via()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if left := entries(t, dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			if _, err := s.Newest(); !errors.Is(err, backup.ErrNone) {
				t.Errorf("newest: %v", err)
			}
		})
	}
}

func TestOnlyTheNewestAreKept(t *testing.T) {
	s, dir := shelf(t)
	leftover := filepath.Join(dir, "20200101T000000.000000Z-dev-controlplane-1.db.part")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for revision := range int64(backup.Kept + 2) {
		if _, err := s.Take(t.Context(), member{data: snapshotOf(t, 10+revision, backuptest.Puts(1))}, via()); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var revisions []int64
	for _, snapshot := range listed {
		revisions = append(revisions, snapshot.Revision)
	}
	if diff := cmp.Diff([]int64{16, 15, 14, 13, 12}, revisions); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if left := entries(t, dir); len(left) != 2*backup.Kept {
		t.Errorf("the directory has %v", left)
	}
}

func TestNewestPassesOverOneThatWasDamaged(t *testing.T) {
	s, _ := shelf(t)
	older, err := s.Take(t.Context(), member{data: snapshotOf(t, 10, backuptest.Puts(1))}, via())
	if err != nil {
		t.Fatal(err)
	}
	newer, err := s.Take(t.Context(), member{data: snapshotOf(t, 20, backuptest.Puts(1))}, via())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(newer.Path, 4096); err != nil {
		t.Fatal(err)
	}
	newest, err := s.Newest()
	if err != nil || newest.Path != older.Path {
		t.Errorf("newest is %s, %v", newest.Path, err)
	}
}

func TestSnapshotOfAnywhereIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.snapshot")
	if err := os.WriteFile(path, snapshotOf(t, 7, backuptest.Puts(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	snapshot, err := backup.Read(path)
	if err != nil || snapshot.Revision != 8 || snapshot.Keys != 2 || snapshot.Node != "" || snapshot.Taken.IsZero() {
		t.Errorf("it tells %+v, %v", snapshot, err)
	}
}
