package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

const (
	// keyBucket is where etcd's store keeps every change, by revision.
	keyBucket = "key"
	// A key there is the revision in 8 bytes, '_', its part in 8 bytes, and one more byte where the change was a deletion
	// (etcd's server/storage/mvcc/revision.go).
	revisionLength  = 17
	tombstoneLength = revisionLength + 1
	// sectorSize divides the size of every database, so that what is over is the checksum (etcd's hasChecksum).
	sectorSize = 512
	// lockPatience bounds the wait for a file that a program has open for writing.
	lockPatience = 5 * time.Second
)

// Contents is what a snapshot holds, as etcdutl's `snapshot status` counts it.
type Contents struct {
	// Revision is that of the last change; it grows with every one, and never falls.
	Revision int64 `json:"revision"`
	// Keys are those that are not deleted.
	Keys int `json:"keys"`
	// Size is the file's, in bytes.
	Size int64 `json:"size"`
	// SHA256 is the whole file's, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// Inspect proves that the file at path is a whole snapshot of etcd, by the checksum at its end and by reading all of it,
// and tells what it holds.
func Inspect(path string) (Contents, error) {
	contents, err := inspect(path)
	if err != nil {
		return Contents{}, fmt.Errorf("cannot use snapshot %s: %w", path, err)
	}
	return contents, nil
}

func inspect(path string) (Contents, error) {
	file, err := os.Open(path)
	if err != nil {
		return Contents{}, err
	}
	defer file.Close()
	size, sum, err := verify(file)
	if err != nil {
		return Contents{}, err
	}
	contents := Contents{Size: size, SHA256: sum}
	contents.Revision, contents.Keys, err = read(path, size-sha256.Size)
	return contents, err
}

// verify compares the checksum at the end with that of all before it, and answers the checksum of the whole.
func verify(file *os.File) (size int64, whole string, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, "", err
	}
	size = info.Size()
	if size%sectorSize != sha256.Size {
		return 0, "", errors.New("it is cut short, or has no checksum at its end")
	}
	body, all := sha256.New(), sha256.New()
	if _, err := io.CopyN(io.MultiWriter(body, all), file, size-sha256.Size); err != nil {
		return 0, "", err
	}
	told, err := io.ReadAll(io.TeeReader(file, all))
	if err != nil {
		return 0, "", err
	}
	if !bytes.Equal(body.Sum(nil), told) {
		return 0, "", errors.New("its checksum does not fit")
	}
	return size, hex.EncodeToString(all.Sum(nil)), nil
}

// read counts in the database, which has size bytes. The reader of such files maps them into memory and panics on what
// cannot be, as etcd wrote them; here anyone may have.
func read(path string, size int64) (revision int64, keys int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("it is no database of etcd: %v", broken)
		}
	}()
	database, err := bolt.Open(path, fileMode, &bolt.Options{ReadOnly: true, Timeout: lockPatience})
	if err != nil {
		return 0, 0, fmt.Errorf("it is no database of etcd: %w", err)
	}
	defer database.Close()
	err = database.View(func(tx *bolt.Tx) error {
		if tx.Size() > size {
			return fmt.Errorf("it has %d bytes of a database of %d", size, tx.Size())
		}
		if err := check(tx); err != nil {
			return err
		}
		revision, keys, err = count(tx)
		return err
	})
	return revision, keys, err
}

// check looks whether the pages of the database make a whole.
func check(tx *bolt.Tx) error {
	var first error
	// Read to its end, as who writes it waits for that.
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("its pages do not fit together: %w", err)
		}
	}
	return first
}

// count reads every change, in the order of the revisions.
func count(tx *bolt.Tx) (revision int64, keys int, err error) {
	changes := tx.Bucket([]byte(keyBucket))
	if changes == nil {
		return 0, 0, errors.New("it has no keys' bucket, which every database of etcd has")
	}
	alive := map[string]struct{}{}
	err = changes.ForEach(func(key, value []byte) error {
		if len(key) != revisionLength && len(key) != tombstoneLength {
			return fmt.Errorf("it has a revision of %d bytes", len(key))
		}
		revision = int64(binary.BigEndian.Uint64(key))
		var change mvccpb.KeyValue
		if err := proto.Unmarshal(value, &change); err != nil {
			return fmt.Errorf("it has an unreadable change at revision %d: %w", revision, err)
		}
		if len(key) == tombstoneLength {
			delete(alive, string(change.Key))
			return nil
		}
		alive[string(change.Key)] = struct{}{}
		return nil
	})
	return revision, len(alive), err
}
