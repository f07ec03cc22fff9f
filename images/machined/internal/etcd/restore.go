package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bronze-os/bronze/images/machined/internal/reaper"
)

// SnapshotLimit is how many bytes a snapshot may have: more than the quota of a store, see flags.
const SnapshotLimit = 4 << 30

// snapshotFile is where an uploaded snapshot waits, beside the data that it will become. The path is Talos's.
func (m Member) snapshotFile() string { return m.dataDir() + ".snapshot" }

// HasSnapshot tells whether a snapshot has been uploaded.
func (m Member) HasSnapshot() bool {
	_, err := os.Stat(m.snapshotFile())

	return err == nil
}

// Upload keeps a snapshot for Restore. One that is cut short is not kept.
func (m Member) Upload(snapshot io.Reader) error {
	temporary := m.snapshotFile() + ".new"

	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep the snapshot: %w", err)
	}
	defer os.Remove(temporary)

	n, err := io.Copy(file, io.LimitReader(snapshot, SnapshotLimit+1))

	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("receiving the snapshot: %w", err)
	}

	if n == 0 || n > SnapshotLimit {
		return fmt.Errorf("cannot use a snapshot of %d bytes or more: it must have some and at most %d", n, SnapshotLimit)
	}

	if err := os.Rename(temporary, m.snapshotFile()); err != nil {
		return fmt.Errorf("cannot keep the snapshot: %w", err)
	}

	return nil
}

// Restore makes the data of a new cluster, whose only member is this node, out of the uploaded snapshot, which is gone
// then. skipHashCheck takes a copy of a data directory's file too, which has no hash at its end.
func (m Member) Restore(ctx context.Context, r *reaper.Reaper, skipHashCheck bool) error {
	// Made elsewhere and renamed, so that a node that ends meanwhile has no half of a store.
	made := m.dataDir() + ".restored"
	if err := os.RemoveAll(made); err != nil {
		return fmt.Errorf("cannot remove the rest of an earlier restore: %w", err)
	}

	argv := []string{
		filepath.Join(m.Root, "/usr/bin/multicall"), "etcd-restore", "--snapshot=" + m.snapshotFile(), "--data-dir=" + made, "--name=" + m.Name, "--peer-url=" + m.peerURL(),
		fmt.Sprintf("--skip-hash-check=%t", skipHashCheck),
	}
	if _, err := r.Run(ctx, argv...); err != nil {
		return fmt.Errorf("restoring etcd from the snapshot: %w", err)
	}

	member := filepath.Join(m.dataDir(), "member")
	if err := os.RemoveAll(member); err != nil {
		return fmt.Errorf("cannot make room for the restored data: %w", err)
	}

	if err := os.Rename(filepath.Join(made, "member"), member); err != nil {
		return fmt.Errorf("cannot put the restored data in their place: %w", err)
	}

	return errors.Join(os.RemoveAll(made), os.Remove(m.snapshotFile()))
}
