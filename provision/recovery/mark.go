package recovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// markFile is in the cluster's part of the state directory while a recovery is under way.
const markFile = "recovery.json"

// mark remembers a recovery from before its first step until after its last, so that one that died is gone on with: then
// the quorum is neither lost nor there.
type mark struct {
	Began time.Time `json:"began"`
	// Snapshot is the file that etcd is founded from, absolute.
	Snapshot string `json:"snapshot"`
	// Doomed are the engine's IDs of the control planes' machines that had the old data, by node; empty where a node had
	// none.
	Doomed map[string]string `json:"doomed"`
}

func newMark(cluster provision.Cluster, seen provision.Observed, snapshot string, now time.Time) mark {
	m := mark{Began: now.UTC().Truncate(time.Second), Snapshot: snapshot, Doomed: map[string]string{}}
	for _, node := range cluster.ControlPlanes() {
		m.Doomed[node.Name] = machineOf(seen, node.Name).ID
	}
	return m
}

func markPath(store *provision.Store, cluster string) string {
	return filepath.Join(filepath.Dir(store.SnapshotsDir(cluster)), markFile)
}

// readMark answers nil where no recovery is under way.
func readMark(store *provision.Store, cluster string) (*mark, error) {
	text, err := os.ReadFile(markPath(store, cluster))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether a recovery is under way: %w", err)
	}
	var m mark
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, provision.WithHint(fmt.Errorf("cannot tell whether a recovery is under way: %w", err), "remove "+markPath(store, cluster))
	}
	return &m, nil
}

func (m mark) write(store *provision.Store, cluster string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode what a recovery needs: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(markPath(store, cluster)), 0o700); err != nil {
		return fmt.Errorf("cannot make directory: %w", err)
	}
	return provision.WriteFile(markPath(store, cluster), append(text, '\n'))
}

func removeMark(store *provision.Store, cluster string) error {
	if err := os.Remove(markPath(store, cluster)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot note that the recovery is done: %w", err)
	}
	return nil
}
