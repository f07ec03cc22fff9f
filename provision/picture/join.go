package picture

import (
	"cmp"
	"slices"

	"github.com/bronze-os/bronze/provision"
)

// Join puts together what the sources say of each node. Every fact is in exactly one node of the picture; where two facts
// cannot be of one node they are in two, be their names the same. It is pure, and the order of the sources' lists does
// not matter.
func Join(sources Sources) Picture {
	sources = withoutSilent(sources)
	entries := unite(facts(sources))
	shelve(&entries, sources.Engine)
	v := view{sources: sources, entries: entries}
	picture := Picture{Cluster: sources.Cluster, Silent: silent(sources)}
	answering := living(sources.Interviews)
	for _, e := range entries {
		e.node.Name, e.node.Role = e.name(), e.role()
		e.node.State, e.node.Why = v.judge(e)
		e.node.Disagreements = disagreements(e.node, picture.Silent, answering)
		picture.Nodes = append(picture.Nodes, e.node)
	}
	slices.SortStableFunc(picture.Nodes, byRoleAndName)
	picture.Quorum = quorum(sources, picture.Nodes)
	return picture
}

// withoutSilent keeps nothing of a source that did not answer, as a half of an answer is none.
func withoutSilent(sources Sources) Sources {
	if sources.EngineError != "" {
		sources.Engine = provision.Observed{}
	}
	if sources.KubernetesError != "" {
		sources.Kubernetes = nil
	}
	return sources
}

// facts makes an entry of every fact, sorted by what identifies it.
func facts(sources Sources) []entry {
	var entries []entry
	add := func(key string, node Node) { entries = append(entries, entry{key: key, node: node}) }
	if sources.Desired != nil {
		for _, desired := range sources.Desired.Nodes {
			add("1 "+desired.Name, Node{Desired: &desired, KnownID: sources.Known[desired.Name]})
		}
	}
	for _, machine := range sources.Engine.Machines {
		add("2 "+machine.ID, Node{Machine: &machine})
	}
	for name, interview := range sources.Interviews {
		answer := answerOf(interview)
		entries = append(entries, entry{key: "3 " + name, asked: name, node: Node{Answer: &answer}})
	}
	for _, node := range sources.Kubernetes {
		add("4 "+node.UID, Node{Kubernetes: &node})
	}
	for _, heard := range affiliates(sources.Interviews) {
		add("5 "+heard.affiliate.NodeID, Node{Affiliate: &heard.affiliate, HeardBy: heard.by})
	}
	for _, member := range members(sources.Interviews) {
		add("6 "+MemberName(member.ID), Node{Etcd: &member})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return entries
}

// unite merges entries by one rule after the other, the surest first.
func unite(entries []entry) []entry {
	for _, joins := range rules() {
		for i := 0; i < len(entries); i++ {
			for j := i + 1; j < len(entries); j++ {
				if !joins(entries[i], entries[j]) || !entries[i].fits(entries[j]) {
					continue
				}
				entries[i] = entries[i].with(entries[j])
				entries = slices.Delete(entries, j, j+1)
				j = i // What it has become may fit an entry that was passed over.
			}
		}
	}
	return entries
}

// shelve puts each volume with the desired node or the machine of the name in its label, or else with the only other node
// of that name, whose fate it shares. A volume has no identity that would tell whose it was of several.
func shelve(entries *[]entry, engine provision.Observed) {
	volumes := slices.Clone(engine.Volumes)
	slices.SortFunc(volumes, func(a, b provision.Volume) int { return cmp.Compare(a.Name, b.Name) })
	for _, volume := range volumes {
		if ofBalancer(volume, engine) {
			continue
		}
		owner := slices.IndexFunc(*entries, func(e entry) bool { return e.owns(volume.Node) })
		if owner < 0 {
			owner = onlyNamed(*entries, volume.Node)
		}
		if owner < 0 {
			owner = len(*entries)
			*entries = append(*entries, entry{key: "7 " + volume.Node})
		}
		node := &(*entries)[owner].node
		node.Volumes = append(node.Volumes, volume)
	}
}

// onlyNamed is the index of the one entry of that name; negative where there is none, or are several.
func onlyNamed(entries []entry, name string) int {
	named := func(e entry) bool { return e.name() == name }
	first := slices.IndexFunc(entries, named)
	if first < 0 || slices.ContainsFunc(entries[first+1:], named) {
		return -1
	}
	return first
}

// ofBalancer knows the volumes of a balancer whose machine is gone by its name.
func ofBalancer(volume provision.Volume, engine provision.Observed) bool {
	return volume.Node == provision.BalancerName(volume.Cluster) ||
		slices.ContainsFunc(engine.Balancers, func(m provision.Machine) bool { return m.Name == volume.Node })
}

// byRoleAndName has control planes first, workers next. Entries of one name keep their order.
func byRoleAndName(a, b Node) int {
	ranks := map[provision.Role]int{provision.ControlPlane: -2, provision.Worker: -1}
	return cmp.Or(cmp.Compare(ranks[a.Role], ranks[b.Role]), cmp.Compare(a.Name, b.Name))
}
