package recovery

import (
	"errors"
	"fmt"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/backup"
)

// sources are the snapshots that etcd could be founded from.
type sources struct {
	// named is what the user names; nil where that is nothing.
	named *backup.Snapshot
	// stored is the newest that is kept; nil where none is.
	stored *backup.Snapshot
	// survivors are what the members that still answer have now.
	survivors []backup.Snapshot
}

// errNoSource says that nothing is left to found etcd from.
var errNoSource = errors.New("cannot recover etcd: there is no snapshot, and no control plane runs whose etcd could give one")

// choose takes what the user names, or else that with the most changes: revisions never fall in a cluster's life, as one
// that is recovered begins far above all it had.
func (s sources) choose() (backup.Snapshot, error) {
	if s.named != nil {
		return *s.named, nil
	}
	candidates := s.survivors
	if s.stored != nil {
		candidates = append(candidates[:len(candidates):len(candidates)], *s.stored)
	}
	if len(candidates) == 0 {
		return backup.Snapshot{}, provision.WithHint(errNoSource,
			"name a file that bronze etcd snapshot wrote, with --from; without one, bronze cluster destroy is all that is left")
	}
	best := candidates[0]
	for _, candidate := range candidates[1:] {
		if candidate.Revision > best.Revision {
			best = candidate
		}
	}
	return best, nil
}

// losses say what is known to be lost with a snapshot, and what cannot be known.
func (s sources) losses(chosen backup.Snapshot, now time.Time) []string {
	notes := []string{"etcd is founded from " + describe(chosen, now)}
	if !s.isSurvivor(chosen) {
		notes[0] += " (" + chosen.Path + ")"
	}
	for _, survivor := range s.survivors {
		if lost := survivor.Revision - chosen.Revision; lost > 0 {
			notes = append(notes, fmt.Sprintf("%d newer revisions, which %s still has, would be lost; --from-node %s keeps them",
				lost, survivor.Node, survivor.Node))
		}
	}
	switch {
	case len(s.survivors) == 0:
		return append(notes, "whatever was written after that is lost; no member is left that could tell how much")
	case s.isSurvivor(chosen):
		return append(notes, "of what was written last, only what had not reached "+chosen.Node+" is lost")
	default:
		return append(notes, "whatever was written after that is lost")
	}
}

func (s sources) isSurvivor(chosen backup.Snapshot) bool {
	for _, survivor := range s.survivors {
		if survivor.Path == chosen.Path {
			return true
		}
	}
	return false
}

func describe(snapshot backup.Snapshot, now time.Time) string {
	from := ""
	if snapshot.Node != "" {
		from = " from " + snapshot.Node
	}
	return fmt.Sprintf("the snapshot taken%s at %s, %s ago: revision %d, %d keys, %d bytes",
		from, snapshot.Taken.Format(time.RFC3339), now.Sub(snapshot.Taken).Round(time.Second),
		snapshot.Revision, snapshot.Keys, snapshot.Size)
}
