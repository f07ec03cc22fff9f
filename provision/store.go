package provision

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Store keeps the desired state of clusters in files of mode 0600 in directories of mode 0700:
//
//	<dir>/clusters/<name>/secrets.yaml
//	<dir>/clusters/<name>/nodes/<node>.yaml
//	<dir>/clusters/<name>/machines.yaml
//	<dir>/clusters/<name>/cluster.yaml
//	<dir>/clusters/<name>/snapshots/
//	<dir>/<name>.lock
//
// cluster.yaml is written after what it needs, and removed first: where it is, all the rest is.
type Store struct {
	dir string
}

const (
	clusterFile  = "cluster.yaml"
	machinesFile = "machines.yaml"
	secretsFile  = "secrets.yaml"
	nodesDir     = "nodes"
	// snapshotsDir is provision/backup's.
	snapshotsDir = "snapshots"
	clustersDir  = "clusters"
)

// Record is all that is stored of one cluster.
type Record struct {
	Cluster Cluster
	Secrets []byte
	// Configs holds the machine configs by node name.
	Configs map[string][]byte
	// Machines are the engine's IDs of the machines that were last seen under the nodes' names; nil where none was yet.
	// Where the engine does not find such an ID any more, that machine is gone for good.
	Machines map[string]string
}

// Remember notes the IDs of the nodes' machines that are observed, and tells whether any is new. A node whose machine is
// not seen keeps its old one; those of nodes that are no more are forgotten.
func (r *Record) Remember(observed Observed) bool {
	seen := map[string]string{}
	for _, machine := range observed.Machines {
		seen[machine.Name] = machine.ID
	}
	known := map[string]string{}
	for _, node := range r.Cluster.Nodes {
		if id := cmp.Or(seen[node.Name], r.Machines[node.Name]); id != "" {
			known[node.Name] = id
		}
	}
	if maps.Equal(known, r.Machines) {
		return false
	}
	r.Machines = known
	return true
}

// DefaultStateDir is ~/.bronze.
func DefaultStateDir() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", WithHint(fmt.Errorf("cannot tell where to keep state: %w", err), "name a directory with --state-dir")
	}
	return filepath.Join(home, ".bronze"), nil
}

// OpenStore opens, and makes where needed, the state directory dir; DefaultStateDir where dir is empty.
func OpenStore(dir string) (*Store, error) {
	if dir == "" {
		home, err := DefaultStateDir()
		if err != nil {
			return nil, err
		}
		dir = home
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open state directory: %w", err)
	}
	if err := makePrivate(dir); err != nil {
		return nil, WithHint(err, "name another directory with --state-dir")
	}
	return &Store{dir: dir}, nil
}

// makePrivate makes a directory, with those above it, that only its owner can enter. One that others can enter is made
// private, as secrets go below it, but only where nothing else can be meant: an empty one, or a state directory of ours.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("cannot make directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at directory: %w", err)
	}
	if info.Mode().Perm()&^dirMode == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot look into directory: %w", err)
	}
	ours := slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return entry.Name() == clustersDir })
	if len(entries) > 0 && !ours {
		return fmt.Errorf("cannot keep secrets in %s: others can enter it, and it holds files that are not of Bronze", dir)
	}
	if err := os.Chmod(dir, dirMode); err != nil {
		return fmt.Errorf("cannot make directory private: %w", err)
	}
	return nil
}

// Dir is the state directory, absolute.
func (s *Store) Dir() string {
	return s.dir
}

// ConfigPath is the file that keeps the machine config of a cluster's node.
func (s *Store) ConfigPath(cluster, node string) string {
	return filepath.Join(s.clusterDir(cluster), nodesDir, node+".yaml")
}

// SnapshotsDir is where snapshots of a cluster's etcd are kept. They go when the cluster is removed.
func (s *Store) SnapshotsDir(cluster string) string {
	return filepath.Join(s.clusterDir(cluster), snapshotsDir)
}

func (s *Store) clusterDir(name string) string {
	return filepath.Join(s.dir, clustersDir, name)
}

// Has tells whether anything is stored under that name, be it only a part of a record.
func (s *Store) Has(name string) bool {
	_, err := os.Stat(s.clusterDir(name))
	return CheckName(name) == nil && err == nil
}

// Save stores a record in place of an older one of that name. The caller holds the cluster's lock.
func (s *Store) Save(record Record) error {
	if err := CheckName(record.Cluster.Name); err != nil {
		return err
	}
	if err := s.save(record); err != nil {
		return fmt.Errorf("storing cluster %q: %w", record.Cluster.Name, err)
	}
	return nil
}

// save leaves a whole record at any time, the old or the new, unless the secrets are others.
func (s *Store) save(record Record) error {
	text, err := yaml.Marshal(record.Cluster)
	if err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	machines, err := yaml.Marshal(record.Machines)
	if err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	dir := s.clusterDir(record.Cluster.Name)
	if err := makePrivate(filepath.Join(dir, nodesDir)); err != nil {
		return err
	}
	if err := s.saveSecrets(dir, record.Secrets); err != nil {
		return err
	}
	if err := writeConfigs(filepath.Join(dir, nodesDir), record.Configs); err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(dir, machinesFile), machines); err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(dir, clusterFile), text); err != nil {
		return err
	}
	return removeConfigs(filepath.Join(dir, nodesDir), record.Configs)
}

func (s *Store) saveSecrets(dir string, secrets []byte) error {
	path := filepath.Join(dir, secretsFile)
	if stored, err := os.ReadFile(path); err == nil && bytes.Equal(stored, secrets) {
		return nil
	}
	// An older cluster.yaml must not vouch for new secrets.
	if err := removeFile(filepath.Join(dir, clusterFile)); err != nil {
		return err
	}
	return WriteFile(path, secrets)
}

func writeConfigs(dir string, configs map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		path := filepath.Join(dir, name+".yaml")
		// Each write waits for the disk.
		if stored, err := os.ReadFile(path); err == nil && bytes.Equal(stored, configs[name]) {
			continue
		}
		if err := WriteFile(path, configs[name]); err != nil {
			return err
		}
	}
	return nil
}

// removeConfigs removes from dir the files of all others.
func removeConfigs(dir string, configs map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot list: %w", err)
	}
	for _, entry := range entries {
		if _, wanted := configs[strings.TrimSuffix(entry.Name(), ".yaml")]; wanted {
			continue
		}
		if err := removeFile(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove: %w", err)
	}
	return nil
}

// Load reads what is stored of a cluster. ErrNotFound where nothing is, or where a Save did not finish.
func (s *Store) Load(name string) (Record, error) {
	if err := CheckName(name); err != nil {
		return Record{}, err
	}
	record, err := load(s.clusterDir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("cannot load cluster %q from %s: %w", name, s.dir, ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("loading cluster %q: %w", name, err)
	}
	return record, nil
}

func load(dir string) (Record, error) {
	text, err := os.ReadFile(filepath.Join(dir, clusterFile))
	if err != nil {
		return Record{}, err
	}
	record := Record{Configs: map[string][]byte{}}
	if err := yaml.UnmarshalStrict(text, &record.Cluster); err != nil {
		return Record{}, fmt.Errorf("cannot read %s: %w", clusterFile, err)
	}
	if record.Secrets, err = os.ReadFile(filepath.Join(dir, secretsFile)); err != nil {
		return Record{}, fmt.Errorf("cannot read secrets: %w", err)
	}
	for _, node := range record.Cluster.Nodes {
		config, err := os.ReadFile(filepath.Join(dir, nodesDir, node.Name+".yaml"))
		if err != nil {
			return Record{}, fmt.Errorf("cannot read machine config: %w", err)
		}
		record.Configs[node.Name] = config
	}
	if record.Machines, err = loadMachines(dir); err != nil {
		return Record{}, err
	}
	return record, nil
}

// loadMachines answers nil for records from before there was such a file.
func loadMachines(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, machinesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var machines map[string]string
	if err == nil {
		err = yaml.UnmarshalStrict(text, &machines)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", machinesFile, err)
	}
	return machines, nil
}

// List names the clusters that have a whole record, sorted.
func (s *Store) List() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.clusterDir("*"), clusterFile))
	if err != nil {
		return nil, fmt.Errorf("cannot list clusters: %w", err)
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	return names, nil
}

// Remove forgets a cluster. None there is no error. The caller holds the cluster's lock.
func (s *Store) Remove(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	dir := s.clusterDir(name)
	if err := removeFile(filepath.Join(dir, clusterFile)); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot forget cluster %q: %w", name, err)
	}
	return nil
}
