package drill

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// strength is what a cluster must get back to.
type strength struct {
	controlPlanes, workers int
	voters                 int
}

// strengthOf counts the nodes that run and are Ready, and the voters that answer.
func strengthOf(p picture.Picture) strength {
	s := strength{voters: p.Quorum.Alive}
	for _, node := range p.Nodes {
		switch {
		case !sound(node):
		case node.Role == provision.ControlPlane:
			s.controlPlanes++
		default:
			s.workers++
		}
	}
	return s
}

// sound tells that a node is wanted, runs and is Ready.
func sound(node picture.Node) bool {
	return node.State == picture.Running && node.Desired != nil && node.Kubernetes != nil && node.Kubernetes.Ready
}

// whySilent names the sources that say nothing.
func whySilent(p picture.Picture) string {
	var why []string
	for _, source := range slices.Sorted(maps.Keys(p.Silent)) {
		why = append(why, fmt.Sprintf("%s says nothing: %s", source, p.Silent[source]))
	}
	return strings.Join(why, "; ")
}

// whyNotWhole tells what keeps a picture from showing a cluster in which nothing is wrong.
func whyNotWhole(p picture.Picture) string {
	var why []string
	if silent := whySilent(p); silent != "" {
		why = append(why, silent)
	}
	for _, node := range p.Nodes {
		switch state, _ := appearance(p, node); {
		case node.State != picture.Running:
			why = append(why, fmt.Sprintf("%s is %s: %s", node.Name, node.State, node.Why))
		case !sound(node):
			why = append(why, node.Name+" is "+state)
		}
	}
	switch q := p.Quorum; {
	case q.Alive < q.Members:
		why = append(why, fmt.Sprintf("%d of %d voters answer", q.Alive, q.Members))
	case q.Learners > 0:
		why = append(why, count(q.Learners, "member")+" of etcd cannot vote yet")
	case !q.Agreed:
		why = append(why, "etcd's members do not agree")
	}
	return strings.Join(why, "; ")
}

// whyWeaker tells what keeps a cluster from the strength that it had.
func (s strength) whyWeaker(p picture.Picture) string {
	if why := whyNotWhole(p); why != "" {
		return why
	}
	now := strengthOf(p)
	if now.controlPlanes < s.controlPlanes || now.workers < s.workers || now.voters < s.voters {
		return fmt.Sprintf("%d control planes, %d workers and %d voters of %d, %d and %d",
			now.controlPlanes, now.workers, now.voters, s.controlPlanes, s.workers, s.voters)
	}
	return ""
}

// identity is a node as no other will ever be.
type identity struct {
	machine, uid, nodeID string
	member               uint64
}

func identityOf(node picture.Node) identity {
	var id identity
	if node.Machine != nil {
		id.machine = node.Machine.ID
	}
	if node.Kubernetes != nil {
		id.uid = node.Kubernetes.UID
	}
	if node.Affiliate != nil {
		id.nodeID = node.Affiliate.NodeID
	}
	if node.Etcd != nil {
		id.member = node.Etcd.ID
	}
	return id
}

// traces names the sources that still know one of the identities.
func traces(p picture.Picture, gone []identity) string {
	var found []string
	for _, node := range p.Nodes {
		now := identityOf(node)
		for _, old := range gone {
			if old.machine != "" && old.machine == now.machine {
				found = append(found, "the engine knows "+node.Name)
			}
			if old.uid != "" && old.uid == now.uid {
				found = append(found, "Kubernetes knows "+node.Name)
			}
			if old.nodeID != "" && old.nodeID == now.nodeID {
				found = append(found, "discovery knows "+node.Name)
			}
			if old.member != 0 && old.member == now.member {
				found = append(found, "etcd knows "+node.Name)
			}
		}
	}
	return strings.Join(found, ", ")
}

// pick finds the victims in a picture.
func (w Whom) pick(p picture.Picture) ([]picture.Node, error) {
	controlPlanes, workers := ofRole(p, provision.ControlPlane), ofRole(p, provision.Worker)
	follows := func(n picture.Node) bool { return n.Name != p.Quorum.Leader }
	switch w {
	case LastWorker:
		return last(workers), none(workers, w)
	case ControlPlanes:
		return controlPlanes, none(controlPlanes, w)
	case AllWorkers:
		return workers, none(workers, w)
	case Leader:
		leaders := slices.DeleteFunc(slices.Clone(controlPlanes), follows)
		return leaders, none(leaders, w)
	case Follower:
		followers := slices.DeleteFunc(slices.Clone(controlPlanes), func(n picture.Node) bool { return !follows(n) })
		return last(followers), none(followers, w)
	case FirstControlPlane:
		return controlPlanes[:min(1, len(controlPlanes))], none(controlPlanes, w)
	case Everyone:
		return p.Nodes, none(p.Nodes, w)
	default:
		return nil, fmt.Errorf("cannot pick %q: %w", w, errors.ErrUnsupported)
	}
}

// none is the error of finding nobody.
func none(nodes []picture.Node, w Whom) error {
	if len(nodes) == 0 {
		return fmt.Errorf("cannot find %s in the picture", w)
	}
	return nil
}

func last(nodes []picture.Node) []picture.Node {
	return nodes[max(0, len(nodes)-1):]
}

// ofRole keeps the picture's order, in which the founder is the first of the control planes that were made with it.
func ofRole(p picture.Picture, role provision.Role) []picture.Node {
	var nodes []picture.Node
	for _, node := range p.Nodes {
		if node.Role == role {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

func names(nodes []picture.Node) []string {
	var names []string
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	return names
}

// isNoSpace tells etcd's refusal of a write for want of space from all others.
func isNoSpace(err error) bool {
	return err != nil && strings.Contains(err.Error(), "database space exceeded")
}
