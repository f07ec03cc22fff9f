package picture

// rule tells whether two entries are of one node, as far as they fit.
type rule func(a, b entry) bool

// rules are in the order of their certainty. Where an identity was copied, so that two entries claim one fact, the name
// and the address decide who gets it. Without an identity only name and address together join: a name alone comes back
// with another node, and so does an address. Of several that could be joined so, those go first that a living kubelet
// or member keeps up to date.
func rules() []rule {
	return []rule{
		machineOfDesired, interviewOfMachine, interviewOfDesired,
		func(a, b entry) bool { return sharesIdentity(a, b) && sharesFace(a, b) },
		func(a, b entry) bool { return sharesIdentity(a, b) && sharesName(a, b) },
		func(a, b entry) bool { return sharesIdentity(a, b) && sharesIP(a, b) },
		sharesIdentity,
		either(func(home, other entry) bool {
			return home.isHome() && other.node.Kubernetes != nil && sharesFace(home, other)
		}),
		either(func(home, other entry) bool { return home.isHome() && sharesFace(home, other) }),
		sharesFace,
	}
}

// either lets a rule's entries come in any order.
func either(joins rule) rule {
	return func(a, b entry) bool { return joins(a, b) || joins(b, a) }
}

// isHome tells an entry that the engine or the desired state knows.
func (e entry) isHome() bool {
	return e.node.Desired != nil || e.node.Machine != nil
}

// machineOfDesired goes by name: the engine has one machine of a name, and the inventory only those of this cluster.
func machineOfDesired(a, b entry) bool {
	return a.node.Desired != nil && b.node.Machine != nil && a.node.Desired.Name == b.node.Machine.Name
}

func interviewOfMachine(a, b entry) bool {
	return a.node.Machine != nil && b.asked != "" && a.node.Machine.Name == b.asked
}

func interviewOfDesired(a, b entry) bool {
	return a.node.Desired != nil && b.asked != "" && a.node.Desired.Name == b.asked
}

func sharesIdentity(a, b entry) bool {
	return same(a.nodeID(), b.nodeID()) || same(a.machineID(), b.machineID()) || same(a.memberID(), b.memberID())
}

func same[T comparable](a, b T) bool {
	var none T
	return a == b && a != none
}

func differ[T comparable](a, b T) bool {
	var none T
	return a != b && a != none && b != none
}

// fits tells whether nothing contradicts that both are one node: no two facts of a kind, no two identities, and no
// machine of another name than is desired.
func (e entry) fits(other entry) bool {
	if e.doubles(other) || differ(e.nodeID(), other.nodeID()) || differ(e.machineID(), other.machineID()) ||
		differ(e.memberID(), other.memberID()) {
		return false
	}
	merged := e.with(other).node
	return merged.Desired == nil || merged.Machine == nil || merged.Desired.Name == merged.Machine.Name
}

func (e entry) doubles(other entry) bool {
	a, b := e.node, other.node
	return a.Desired != nil && b.Desired != nil || a.Machine != nil && b.Machine != nil || a.Answer != nil && b.Answer != nil ||
		a.Kubernetes != nil && b.Kubernetes != nil || a.Affiliate != nil && b.Affiliate != nil || a.Etcd != nil && b.Etcd != nil
}

// with adds the other's facts. They do not double the entry's own.
func (e entry) with(other entry) entry {
	node, more := &e.node, other.node
	if more.Desired != nil {
		node.Desired, node.KnownID = more.Desired, more.KnownID
	}
	if more.Machine != nil {
		node.Machine = more.Machine
	}
	if more.Answer != nil {
		node.Answer, e.asked = more.Answer, other.asked
	}
	if more.Kubernetes != nil {
		node.Kubernetes = more.Kubernetes
	}
	if more.Affiliate != nil {
		node.Affiliate, node.HeardBy = more.Affiliate, more.HeardBy
	}
	if more.Etcd != nil {
		node.Etcd = more.Etcd
	}
	return e
}
