package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Removal says which nodes are to be removed.
type Removal struct {
	Names []string
	// Force removes nodes without asking their pods to leave, and those that are paused or do not answer.
	Force bool
}

// PlanRemove plans to take nodes out of all sources. Everything of a name goes, also what is left of earlier nodes that had
// it. Workers go side by side, control planes one after another, and only while etcd can spare them. The desired state is
// last, so that a removal that died is found and ended by whoever removes or reconciles next. Names that nobody knows are
// gone already, and an error where no other is known.
//
// Nodes that were made by hand are desired first: with their machine gone, nothing else would tell them from nodes that
// live elsewhere. Molds are what those were made with, by name.
func PlanRemove(cluster provision.Cluster, p picture.Picture, asked Removal, molds map[string]Mold) (Plan, error) {
	plan := Plan{Cluster: cluster.Name, Configs: map[string][]byte{}}
	doomed, unknown := named(p, asked.Names)
	if len(doomed) == 0 {
		return plan, provision.WithHint(fmt.Errorf("cannot find %s in any source", strings.Join(unknown, ", ")),
			"the cluster has "+nameList(p.Nodes))
	}
	if len(unknown) > 0 {
		plan.Notes = append(plan.Notes, fmt.Sprintf("no source knows %s: gone already", strings.Join(unknown, ", ")))
	}
	if err := checkRemoval(cluster, p, doomed, asked.Force); err != nil {
		return plan, err
	}
	doomed = inRemovalOrder(doomed, p.Quorum.Leader)
	notes, err := checkShrinking(cluster, p, doomed)
	if err != nil {
		return plan, err
	}
	plan.Notes = append(plan.Notes, notes...)
	plan.Notes = append(plan.Notes, lostPorts(doomed)...)
	removing := &removing{cluster: cluster, picture: p, doomed: doomed, force: asked.Force, molds: molds}
	plan.Steps = removing.plan()
	for name, mold := range molds {
		plan.Configs[name] = mold.Config
	}
	return plan, nil
}

// named finds all that the picture has of those names, and which it has nothing of.
func named(p picture.Picture, names []string) (found []picture.Node, unknown []string) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		before := len(found)
		for _, node := range p.Nodes {
			if node.Name == name {
				found = append(found, node)
			}
		}
		if len(found) == before {
			unknown = append(unknown, name)
		}
	}
	return found, unknown
}

// checkRemoval tells why these nodes cannot be removed now, whatever etcd says.
func checkRemoval(cluster provision.Cluster, p picture.Picture, doomed []picture.Node, force bool) error {
	var errs []error
	for _, source := range []picture.Source{picture.Engine, picture.Kubernetes, picture.Discovery, picture.Etcd} {
		if why, silent := p.Silent[source]; silent {
			errs = append(errs, passing{provision.WithHint(fmt.Errorf("cannot remove nodes while %s does not answer: %s", source, why),
				"make the cluster answer first: bronze cluster start "+cluster.Name+", bronze cluster reconcile "+cluster.Name)})
		}
	}
	for _, node := range doomed {
		errs = append(errs, checkState(cluster, node, force))
		if cluster.Balancer == nil && node.Desired != nil && node.Name == cluster.Founder().Name {
			errs = append(errs, provision.WithHint(
				fmt.Errorf("cannot remove %q: it is the cluster's endpoint, as there is no balancer", node.Name),
				"create a cluster with this version of bronze, which makes a balancer"))
		}
	}
	return errors.Join(errs...)
}

// checkState refuses nodes that may live and cannot cooperate.
func checkState(cluster provision.Cluster, node picture.Node, force bool) error {
	switch {
	case node.State == picture.Paused && !force:
		return provision.WithHint(fmt.Errorf("cannot remove %q: it is paused, and not dead", node.Name),
			"bronze cluster resume "+cluster.Name+", or --force")
	case node.State == picture.Unreachable && node.Machine == nil:
		return provision.WithHint(fmt.Errorf("cannot remove %q: %s", node.Name, node.Why), "bronze explain "+node.Name)
	case node.State == picture.Unreachable && !force:
		// One whose machine the engine is removing just now, for a removal that died, looks like that for a moment.
		return passing{provision.WithHint(fmt.Errorf("cannot remove %q in order: %s", node.Name, node.Why),
			"--force removes it without its help; bronze explain "+node.Name+" says more")}
	case node.State == picture.Foreign && node.Machine == nil:
		return provision.WithHint(fmt.Errorf("cannot remove %q: %s", node.Name, node.Why),
			"reset it where it runs: bronze reset --graceful, which leaves the cluster")
	default:
		return nil
	}
}

// inRemovalOrder has control planes first: those whose etcd is dead, those that follow, the leader, so that the lead moves
// once at most. Then all others.
func inRemovalOrder(doomed []picture.Node, leader string) []picture.Node {
	rank := func(node picture.Node) int {
		switch {
		case node.Etcd == nil:
			return 3
		case !answersForItself(node):
			return 0
		case node.Name != leader:
			return 1
		default:
			return 2
		}
	}
	return slices.SortedStableFunc(slices.Values(doomed), func(a, b picture.Node) int { return cmp.Compare(rank(a), rank(b)) })
}

// checkShrinking does etcd's arithmetic for the members among the doomed, one after another, as they will go. Its notes
// are for the user to read.
func checkShrinking(cluster provision.Cluster, p picture.Picture, doomed []picture.Node) ([]string, error) {
	rest := len(slices.DeleteFunc(cluster.ControlPlanes(), func(n provision.Node) bool {
		return slices.ContainsFunc(doomed, func(d picture.Node) bool { return d.Desired != nil && d.Name == n.Name })
	}))
	if rest == 0 {
		return nil, provision.WithHint(errors.New("cannot remove the only control plane: it is the cluster"),
			"bronze cluster destroy "+cluster.Name+", or add another with bronze node add --role controlplane first")
	}
	var notes []string
	now := votesOf(p.Quorum)
	for _, node := range doomed {
		if node.Etcd == nil {
			continue
		}
		after := now.parting(node)
		if why := now.whyNotBecome(after); why != "" {
			return nil, passing{provision.WithHint(fmt.Errorf("cannot remove %q: %s", node.Name, why),
				"bronze cluster reconcile "+cluster.Name+" clears up after the dead")}
		}
		notes = append(notes, fmt.Sprintf("etcd: %s; without %s: %s", now, node.Name, after))
		now = after
	}
	if len(notes) > 0 && now.members%2 == 0 {
		notes = append(notes, fmt.Sprintf("etcd of %d members survives the loss of %d, no more than of %d: remove or add another control plane",
			now.members, now.members-majority(now.members), now.members-1))
	}
	return notes, nil
}

// lostPorts tells of ports of the host that nobody listens on any more.
func lostPorts(doomed []picture.Node) []string {
	var notes []string
	for _, node := range doomed {
		if node.Machine == nil {
			continue
		}
		for _, port := range node.Machine.Ports {
			notes = append(notes, fmt.Sprintf("port %d of the host, which is port %d of %s, closes", port.Host, port.Node, node.Name))
		}
	}
	return notes
}
