package picture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bronze-os/bronze/provision"
)

// shortest is how many characters of an identity must be given at least.
const shortest = 4

// Find looks for nodes by name, where those that share it are all meant, or by what identifies one: the engine's ID of
// its machine, its node ID, machine ID, or UID in Kubernetes, its member ID in hexadecimal or decimal, or the beginning
// of one. The error for none and the one for many list what is known.
func (p Picture) Find(word string) ([]Node, error) {
	if named := p.where(func(n Node) bool { return n.Name == word }); len(named) > 0 {
		return named, nil
	}
	if exact := p.where(func(n Node) bool { return word != "" && slices.Contains(n.identities(), word) }); len(exact) == 1 {
		return exact, nil
	}
	begins := func(id string) bool { return len(word) >= shortest && strings.HasPrefix(id, word) }
	found := p.where(func(n Node) bool { return slices.ContainsFunc(n.identities(), begins) })
	switch len(found) {
	case 1:
		return found, nil
	case 0:
		err := fmt.Errorf("cannot find node %q in cluster %q", word, p.Cluster)
		return nil, provision.WithHint(err, "it has: "+namesOf(p.Nodes))
	default:
		err := fmt.Errorf("cannot tell which node %q is: %s begin so", word, namesOf(found))
		return nil, provision.WithHint(err, "give more of the identity")
	}
}

func (p Picture) where(wanted func(Node) bool) []Node {
	return slices.DeleteFunc(slices.Clone(p.Nodes), func(n Node) bool { return !wanted(n) })
}

func namesOf(nodes []Node) string {
	if len(nodes) == 0 {
		return "no nodes"
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return strings.Join(slices.Compact(names), ", ")
}

// identities are all that any source identifies the node by.
func (n Node) identities() []string {
	e := entry{node: n}
	ids := []string{e.nodeID(), e.machineID(), MemberName(e.memberID()), n.KnownID}
	if id := e.memberID(); id != 0 {
		ids = append(ids, strconv.FormatUint(id, 16), strconv.FormatUint(id, 10))
	}
	if n.Machine != nil {
		ids = append(ids, n.Machine.ID)
	}
	if n.Kubernetes != nil {
		ids = append(ids, n.Kubernetes.UID, n.Kubernetes.MachineID)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}
