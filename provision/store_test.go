package provision

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func openTestStore(t *testing.T) *Store {
	t.Helper()
	store, err := OpenStore(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func testRecord(t *testing.T) Record {
	t.Helper()
	cluster, err := Expand(asked(nil), Site{})
	if err != nil {
		t.Fatal(err)
	}
	return Record{
		Cluster: cluster, Secrets: []byte("secret"),
		Configs:  map[string][]byte{cp1: []byte("one"), w1: []byte("two")},
		Machines: map[string]string{cp1: "id-1", w1: "id-2"},
	}
}

func TestStoreGivesBackWhatWasSaved(t *testing.T) {
	store, record := openTestStore(t), testRecord(t)
	if err := store.Save(record); err != nil {
		t.Fatal(err)
	}
	got, err := store.Load("dev")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record, got, addresses()); diff != "" {
		t.Errorf("(-saved +loaded):\n%s", diff)
	}
	names, err := store.List()
	if err != nil || len(names) != 1 || names[0] != "dev" {
		t.Errorf("List = %q, %v", names, err)
	}
}

func TestStoreSavesOverAnOlderRecord(t *testing.T) {
	store, record := openTestStore(t), testRecord(t)
	if err := store.Save(record); err != nil {
		t.Fatal(err)
	}
	record.Cluster.Nodes = record.Cluster.Nodes[:1]
	record.Configs = map[string][]byte{cp1: []byte("new")}
	if err := store.Save(record); err != nil {
		t.Fatal(err)
	}
	got, err := store.Load("dev")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record, got, addresses()); diff != "" {
		t.Errorf("(-saved +loaded):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(store.clusterDir("dev"), "nodes", w1+".yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the machine config of a node that is no more is still there: %v", err)
	}
}

func TestStoreIsForItsOwnerOnly(t *testing.T) {
	store := openTestStore(t)
	if err := store.Save(testRecord(t)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(store.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreDoesNotKnowAHalfSavedCluster(t *testing.T) {
	store := openTestStore(t)
	if err := store.Save(testRecord(t)); err != nil {
		t.Fatal(err)
	}
	// cluster.yaml is the last file that a Save writes.
	if err := os.Remove(filepath.Join(store.clusterDir("dev"), clusterFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load("dev"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load = %v, want ErrNotFound", err)
	}
	if names, err := store.List(); len(names) != 0 || err != nil {
		t.Errorf("List = %q, %v, want none", names, err)
	}
	if !store.Has("dev") {
		t.Error("Has says no, and so nothing would remove the rest")
	}
}

func TestStoreForgets(t *testing.T) {
	store := openTestStore(t)
	if err := store.Save(testRecord(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Remove("dev"); err != nil {
			t.Fatal(err)
		}
	}
	if store.Has("dev") {
		t.Error("it is still there")
	}
}

func TestStoreKeepsNamesInside(t *testing.T) {
	store := openTestStore(t)
	outside := filepath.Join(filepath.Dir(store.Dir()), "precious")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := store.Remove("../../precious"); err == nil {
		t.Error("Remove took a path for a name")
	}
	if _, err := store.Load("../x"); err == nil {
		t.Error("Load took a path for a name")
	}
	if _, err := store.Lock("../x"); err == nil {
		t.Error("Lock took a path for a name")
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

func TestStoreTellsOfAFileThatSomebodySpoiled(t *testing.T) {
	store := openTestStore(t)
	if err := store.Save(testRecord(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(store.clusterDir("dev"), clusterFile), []byte("name: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load("dev"); err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), clusterFile) {
		t.Errorf("Load = %v, want an error that names the file", err)
	}
}

func TestWriteFileLeavesTheOldContentWhereItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("%d entries: the temporary file was left", len(entries))
	}
}

func TestStoreLeavesDirectoriesOfOthersAsTheyAre(t *testing.T) {
	for name, test := range map[string]struct {
		holds  string
		opened bool
		mode   fs.FileMode
	}{
		"empty":     {"", true, 0o700},
		"ours":      {"clusters", true, 0o700},
		"another's": {"letters", false, 0o755},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.MkdirAll(filepath.Join(dir, test.holds), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := OpenStore(dir)
			if (err == nil) != test.opened {
				t.Errorf("OpenStore = %v", err)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != test.mode {
				t.Errorf("mode %v, %v, want %v", info.Mode().Perm(), err, test.mode)
			}
		})
	}
}

func TestARecordRemembersTheMachinesOfItsNodes(t *testing.T) {
	seen := func(names ...string) (observed Observed) {
		for _, name := range names {
			observed.Machines = append(observed.Machines, Machine{Name: name, ID: "new-" + name})
		}
		return observed
	}
	for _, test := range []struct {
		name     string
		known    map[string]string
		observed Observed
		want     map[string]string
		isNew    bool
	}{
		{"one that is seen for the first time", nil, seen(cp1), map[string]string{cp1: "new-" + cp1}, true},
		{"one that is not seen any more", map[string]string{w1: "old"}, seen(), map[string]string{w1: "old"}, false},
		{"one that was made anew", map[string]string{w1: "old"}, seen(w1), map[string]string{w1: "new-" + w1}, true},
		{"one that is nobody's", nil, seen("dev-worker-9"), map[string]string{}, false},
		{"one whose node is no more", map[string]string{"dev-worker-9": "old"}, seen(), map[string]string{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := testRecord(t)
			record.Machines = test.known
			isNew := record.Remember(test.observed)
			if diff := cmp.Diff(test.want, record.Machines, cmpopts.EquateEmpty()); diff != "" || isNew != test.isNew {
				t.Errorf("new %t, want %t; (-want +got):\n%s", isNew, test.isNew, diff)
			}
		})
	}
}

// TestASaveThatDiesLeavesAWholeRecord takes away what a save writes last, as if it had died before.
func TestASaveThatDiesLeavesAWholeRecord(t *testing.T) {
	store, record := openTestStore(t), testRecord(t)
	if err := store.Save(record); err != nil {
		t.Fatal(err)
	}
	older, err := os.ReadFile(filepath.Join(store.clusterDir("dev"), clusterFile))
	if err != nil {
		t.Fatal(err)
	}
	added := record
	added.Cluster.Nodes = append(slices.Clone(record.Cluster.Nodes), Node{Name: "dev-worker-2"})
	added.Configs = map[string][]byte{cp1: []byte("one"), w1: []byte("two"), "dev-worker-2": []byte("three")}
	if err := store.Save(added); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(store.clusterDir("dev"), clusterFile), older); err != nil {
		t.Fatal(err)
	}
	got, err := store.Load("dev")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record, got, addresses()); diff != "" {
		t.Errorf("(-saved first +loaded):\n%s", diff)
	}
}

func TestASaveWithOtherSecretsIsNotVouchedForByTheOldCluster(t *testing.T) {
	store, record := openTestStore(t), testRecord(t)
	if err := store.Save(record); err != nil {
		t.Fatal(err)
	}
	if err := store.saveSecrets(store.clusterDir("dev"), []byte("other")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load("dev"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load = %v, want ErrNotFound", err)
	}
}

func TestARecordWithoutMachinesIsAnOldOne(t *testing.T) {
	store := openTestStore(t)
	if err := store.Save(testRecord(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(store.clusterDir("dev"), machinesFile)); err != nil {
		t.Fatal(err)
	}
	record, err := store.Load("dev")
	if err != nil || len(record.Machines) > 0 {
		t.Errorf("Load = %v, %v", record.Machines, err)
	}
}
