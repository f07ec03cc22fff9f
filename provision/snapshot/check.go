// Package snapshot knows what a snapshot of etcd ends with, for those that take one over the machine API and those that
// store it. It may import the standard library only.
package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
)

// Check checks a stream that ends with the SHA-256 of all before it, as etcd's Snapshot call sends it, without keeping
// the stream. NewCheck makes one.
type Check struct {
	sum hash.Hash
	// last are the bytes that may be the checksum.
	last []byte
}

// NewCheck makes a Check that has seen nothing.
func NewCheck() *Check {
	return &Check{sum: sha256.New()}
}

// Write takes in what comes next. It never fails.
func (c *Check) Write(data []byte) (int, error) {
	c.last = append(c.last, data...)
	if surplus := len(c.last) - sha256.Size; surplus > 0 {
		c.sum.Write(c.last[:surplus])
		c.last = bytes.Clone(c.last[surplus:])
	}
	return len(data), nil
}

// Verify tells whether all that was written is a whole snapshot.
func (c *Check) Verify() error {
	if len(c.last) < sha256.Size {
		return errors.New("cannot use the snapshot: it is cut short")
	}
	if !bytes.Equal(c.sum.Sum(nil), c.last) {
		return errors.New("cannot use the snapshot: its checksum does not fit")
	}
	return nil
}
