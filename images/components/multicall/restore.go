package main

import (
	"flag"
	"os"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

// revisionBump is how far the store's revision jumps ahead. Clients that live on remember revisions newer than the
// snapshot's, and would take the restored past for the future; etcd's manual advises so much for Kubernetes
// (https://etcd.io/docs/latest/op-guide/recovery).
const revisionBump = 1_000_000_000

// runRestore makes the data directory of a new cluster's only member out of a snapshot.
func runRestore() int {
	flags := flag.NewFlagSet("etcd-restore", flag.ContinueOnError)
	path := flags.String("snapshot", "", "file that the snapshot is in")
	directory := flags.String("data-dir", "", "directory to make the data in; it must be empty or missing")
	name := flags.String("name", "", "name of the member")
	peer := flags.String("peer-url", "", "URL that the member is known by")
	skipCheck := flags.Bool("skip-hash-check", false, "take a copy of a data directory's file too, which has no hash at its end")

	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}

	// It takes the log's segment size from here, like etcd itself.
	wal.SegmentSizeBytes = walSegment

	return report("etcd-restore", snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath:        *path,
		OutputDataDir:       *directory,
		Name:                *name,
		PeerURLs:            []string{*peer},
		InitialCluster:      *name + "=" + *peer,
		InitialClusterToken: "etcd-cluster",
		SkipHashCheck:       *skipCheck,
		RevisionBump:        revisionBump,
		MarkCompacted:       true,
	}))
}
