// Package backuptest makes snapshots as etcd writes them, for tests of what takes, keeps and restores them. It imports
// nothing of this module.
package backuptest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// Change is one change of a store: a key is written, or deleted.
type Change struct {
	Key     string
	Deleted bool
}

// Puts are the changes of a store that holds so many keys, each written once.
func Puts(keys int) []Change {
	var changes []Change
	for i := range keys {
		changes = append(changes, Change{Key: fmt.Sprintf("/registry/configmaps/default/key-%d", i)})
	}
	return changes
}

// Snapshot is one of a store in which those changes were made, the first of them at that revision: a database, and the
// SHA-256 of it.
func Snapshot(first int64, changes []Change) ([]byte, error) {
	data, err := Database(first, changes)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return append(data, sum[:]...), nil
}

// Database is Snapshot without the checksum, as a member's own file is.
func Database(first int64, changes []Change) ([]byte, error) {
	dir, err := os.MkdirTemp("", "backuptest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	database, err := bolt.Open(filepath.Join(dir, "db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	defer database.Close()
	if err := database.Update(func(tx *bolt.Tx) error { return write(tx, first, changes) }); err != nil {
		return nil, err
	}
	var copied bytes.Buffer
	err = database.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(&copied)
		return err
	})
	return copied.Bytes(), err
}

func write(tx *bolt.Tx, first int64, changes []Change) error {
	bucket, err := tx.CreateBucketIfNotExists([]byte("key"))
	if err != nil {
		return err
	}
	for i, change := range changes {
		revision := binary.BigEndian.AppendUint64(nil, uint64(first+int64(i)))
		revision = append(revision, '_')
		revision = binary.BigEndian.AppendUint64(revision, 0)
		if change.Deleted {
			revision = append(revision, 't')
		}
		value, err := proto.Marshal(&mvccpb.KeyValue{Key: []byte(change.Key), ModRevision: first + int64(i)})
		if err != nil {
			return err
		}
		if err := bucket.Put(revision, value); err != nil {
			return err
		}
	}
	return nil
}
