package recovery

import (
	"fmt"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// proof is what a picture shows of a cluster's control planes, and whether that proves that the quorum is lost for good.
type proof struct {
	cluster string
	// Members are etcd's voters; Needed is their majority.
	members, needed int
	// alive are the control planes that run. Their etcd may answer though it has no quorum.
	alive []picture.Node
	// lost are gone with their data.
	lost []picture.Node
	// revivable have no machine, and their data are still there.
	revivable []picture.Node
	refusals  []reconcile.Refusal
}

// prove tells what is left of the control planes. Where it refuses, nothing may be done to any of them: the quorum is
// there, or may come back by itself or by a milder cure. insisted tells that the user names a snapshot, and so gives up
// what nodes without a machine may have kept.
func prove(p picture.Picture, insisted bool) proof {
	found := proof{cluster: p.Cluster}
	if why, silent := p.Silent[picture.Engine]; silent {
		found.refuse(p.Cluster, "the engine does not answer, which proves nothing: "+why, "start the engine")
		return found
	}
	for _, node := range p.Nodes {
		if isControlPlane(node) {
			found.sort(node)
		}
	}
	found.count(p)
	if len(found.refusals) > 0 {
		return found
	}
	found.weigh(p, insisted)
	return found
}

// isControlPlane tells whether the node is or was a member of etcd.
func isControlPlane(node picture.Node) bool {
	return node.Role == provision.ControlPlane || node.Etcd != nil
}

// sort finds out whether the node lives, is gone, or is neither for sure.
func (f *proof) sort(node picture.Node) {
	switch {
	case isGone(node) && keepsEtcd(node):
		f.revivable = append(f.revivable, node)
		return
	case isGone(node):
		f.lost = append(f.lost, node)
		return
	}
	switch node.State {
	case picture.Running:
		f.alive = append(f.alive, node)
	case picture.Paused:
		f.refuse(node.Name, "it is paused, which is not dead", "bronze cluster resume "+f.cluster)
	case picture.Stopped:
		f.refuse(node.Name, "it is stopped, and keeps its data", "bronze cluster start "+f.cluster)
	case picture.Foreign:
		f.refuse(node.Name, "it is of other hands: "+node.Why, "bronze node add "+f.cluster+" --adopt, or remove it by hand")
	default:
		f.refuse(node.Name, node.Why, "bronze explain "+node.Name+" --cluster "+f.cluster)
	}
}

// isGone tells whether the engine has no machine for the node, and its network nobody at its address. A picture does not
// call that a ghost while Kubernetes does not answer, which it cannot without the quorum.
func isGone(node picture.Node) bool {
	forgotten := node.State == picture.Unreachable && node.Desired == nil && node.Machine == nil && node.Answer == nil
	return node.State == picture.Missing || node.State == picture.Ghost || forgotten
}

// keepsEtcd tells whether the volume with the node's etcd data is there.
func keepsEtcd(node picture.Node) bool {
	for _, volume := range node.Volumes {
		if volume.Path == boot.EphemeralPath {
			return true
		}
	}
	return false
}

// count takes etcd's own list where a member tells it, and all control planes where none does.
func (f *proof) count(p picture.Picture) {
	f.members = max(p.Quorum.Members, 1)
	if p.Quorum.Members == 0 {
		f.members = max(len(f.alive)+len(f.lost)+len(f.revivable)+len(f.refusals), 1)
	}
	f.needed = f.members/2 + 1
}

// weigh refuses where the quorum is not lost for good.
func (f *proof) weigh(p picture.Picture, insisted bool) {
	resurrect := "bronze cluster reconcile " + f.cluster + " --missing resurrect"
	switch kept := len(f.alive) + len(f.revivable); {
	case p.Quorum.Agreed && p.Quorum.Leader != "" && p.Quorum.Alive >= p.Quorum.Needed:
		f.refuse(f.cluster, "etcd has its quorum: "+f.String(), "bronze cluster reconcile "+f.cluster)
	case len(f.revivable) > 0 && kept >= f.needed:
		f.refuse(f.revivable[0].Name, "its data are still there, and with them the quorum comes back: "+f.String(), resurrect)
	case len(f.alive) >= f.needed:
		f.refuse(f.alive[0].Name, "enough control planes run for a quorum, and its log tells why there is none: "+f.String(),
			"bronze logs etcd -n "+addressOf(f.alive[0]))
	case len(f.revivable) > 0 && !insisted:
		f.refuse(f.revivable[0].Name, "its data are still there, and may be newer than any snapshot",
			resurrect+", or give them up with --from FILE")
	}
}

// addressOf is how a call to the node is addressed.
func addressOf(node picture.Node) string {
	if node.Machine != nil && node.Machine.IP.IsValid() {
		return node.Machine.IP.String()
	}
	return node.Name
}

func (f *proof) refuse(node, why, offer string) {
	f.refusals = append(f.refusals, reconcile.Refusal{Node: node, Why: why, Offer: offer})
}

// String is the arithmetic, in words.
func (f *proof) String() string {
	return fmt.Sprintf("etcd has %d members, %d of their nodes run, %d are gone with their data, and %d are needed",
		f.members, len(f.alive), f.members-len(f.alive)-len(f.revivable), f.needed)
}
