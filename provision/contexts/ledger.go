package contexts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

const (
	ledgersDir   = "contexts"
	ledgerSuffix = ".yaml"
)

// ledger remembers what was merged for one cluster. It is written before the files that it tells of.
type ledger struct {
	Cluster     string `json:"cluster"`
	Kubeconfig  entry  `json:"kubeconfig"`
	Talosconfig entry  `json:"talosconfig"`

	path string
}

// entry is one context in one file.
type entry struct {
	// Path is the file, absolute; empty where nothing was merged.
	Path string `json:"path,omitempty"`
	// Context is the name under which it was merged.
	Context string `json:"context,omitempty"`
	// Previous is the context that was current before.
	Previous string `json:"previous,omitempty"`
	// CA is the certificate authority of the merged context, in base64: what proves that an entry is ours in a file
	// that has no place for a stamp.
	CA string `json:"ca,omitempty"`
	// Made tells that the file was not there before.
	Made bool `json:"made,omitempty"`
}

// followedBy is the entry of a merge that comes after e: what was there before the first one is what to go back to.
func (e entry) followedBy(next entry) entry {
	_, err := os.Stat(next.Path)
	next.Made = errors.Is(err, fs.ErrNotExist)
	if e.Path == next.Path {
		next.Made = next.Made || e.Made
	}
	if next.Previous == next.Context || next.Previous == e.Context {
		next.Previous = e.Previous
	}
	return next
}

// made tells whether the file at path is there only because of the merge.
func (e entry) made(path string) bool {
	return e.Made && e.Path == path
}

func readLedger(stateDir, cluster string) (ledger, error) {
	book := ledger{Cluster: cluster, path: filepath.Join(stateDir, ledgersDir, cluster+ledgerSuffix)}
	data, err := os.ReadFile(book.path)
	if errors.Is(err, fs.ErrNotExist) {
		return book, nil
	}
	if err != nil {
		return ledger{}, fmt.Errorf("cannot read which contexts were merged: %w", err)
	}
	if err := yaml.Unmarshal(data, &book); err != nil {
		return ledger{}, fmt.Errorf("cannot parse %s: %w", book.path, err)
	}
	return book, nil
}

func (l ledger) write() error {
	data, err := yaml.Marshal(l)
	if err != nil {
		return fmt.Errorf("cannot encode which contexts were merged: %w", err)
	}
	return writeAtomically(l.path, data)
}

func (l ledger) remove() error {
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot forget which contexts were merged: %w", err)
	}
	// The directory goes with its last ledger, so that a host without clusters has no trace of them; an error only
	// says that it holds others.
	_ = os.Remove(filepath.Dir(l.path))
	return nil
}
