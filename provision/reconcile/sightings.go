package reconcile

import (
	"time"

	"github.com/bronze-os/bronze/provision/picture"
)

// DefaultInterval is how long something must be missing before anything is done about it, unless the user is sure.
const DefaultInterval = 30 * time.Second

// Sightings are since when what is missing now, and what only ghosts of are left, has been so without a break, by what
// identifies it.
type Sightings map[string]time.Time

// Then are the sightings after a look: what is seen again keeps its time, and what is not is dropped. An engine that did
// not answer has shown nothing.
func (s Sightings) Then(p picture.Picture, at time.Time) Sightings {
	next := Sightings{}
	if _, silent := p.Silent[picture.Engine]; silent {
		return next
	}
	for _, node := range p.Nodes {
		for _, mark := range marks(node) {
			next[mark] = at
			if since, known := s[mark]; known {
				next[mark] = since
			}
		}
	}
	return next
}

// since is when the node was first seen to be missing or a ghost; at where it was not before.
func (s Sightings) since(node picture.Node, at time.Time) time.Time {
	first := at
	for _, mark := range marks(node) {
		if since, known := s[mark]; known && since.Before(first) {
			first = since
		}
	}
	return first
}

// marks are what a missing node or a ghost is recognized by at the next look. A ghost fades one source after the other.
func marks(node picture.Node) []string {
	if node.State == picture.Missing {
		return []string{"missing " + node.Name + " " + node.KnownID}
	}
	if isHalfMade(node) {
		return []string{"made " + node.Machine.ID}
	}
	if node.State != picture.Ghost {
		return nil
	}
	var marks []string
	if node.Kubernetes != nil {
		marks = append(marks, "Node "+node.Kubernetes.UID)
	}
	if node.Affiliate != nil {
		marks = append(marks, "affiliate "+node.Affiliate.NodeID)
	}
	if node.Etcd != nil {
		marks = append(marks, "member "+memberName(node.Etcd.ID))
	}
	for _, volume := range node.Volumes {
		marks = append(marks, "volume "+volume.Name)
	}
	return marks
}
