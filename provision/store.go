package provision

import (
	"errors"
	"fmt"
)

// Store keeps the desired state of clusters in files: 0700 directories, 0600 files.
//
//	<dir>/clusters/<name>/cluster.yaml
//	<dir>/clusters/<name>/secrets.yaml
//	<dir>/clusters/<name>/nodes/<node>.yaml
type Store struct {
	dir string
}

// Record is all that is stored of one cluster.
type Record struct {
	Cluster Cluster
	Secrets []byte
	// Configs holds the machine configs by node name.
	Configs map[string][]byte
}

// HeldError says that another process works on the cluster.
type HeldError struct {
	Cluster string
	// PID is the holder's process, 0 where it is not known.
	PID int
}

// Error names the holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("cluster %q is being worked on by process %d", e.Cluster, e.PID)
}

// DefaultStateDir is ~/.bronze.
func DefaultStateDir() (string, error) {
	return "", errors.ErrUnsupported
}

// OpenStore opens, and makes where needed, the state directory dir; DefaultStateDir where dir is empty.
func OpenStore(dir string) (*Store, error) {
	return nil, errors.ErrUnsupported
}

// Dir is the state directory, absolute.
func (s *Store) Dir() string {
	return s.dir
}

// Load reads what is stored of a cluster. ErrNotFound where nothing is.
func (s *Store) Load(name string) (Record, error) {
	return Record{}, errors.ErrUnsupported
}
