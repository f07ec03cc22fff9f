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

// Addition says which nodes are to be added.
type Addition struct {
	Role  provision.Role
	Count int
	// From is the node whose machine config is cloned; empty lets the first living one of the role be it.
	From string
	// Patches change the machine config, after what they are cloned from.
	Patches []string
	// Resources are the nodes' sizes; what is 0 is as the source has it.
	Resources provision.Resources
	// Image is the node image; empty means the cluster's.
	Image string
	// AllowEven lets the control planes be an even number.
	AllowEven bool
}

// Mold is what new nodes are made after: a node's size and mounts, and a machine config that belongs to no single one.
type Mold struct {
	Node   provision.Node
	Config []byte
}

// PlanAdd plans the nodes of an Addition. Nodes that an earlier add has begun and not ended count among them, so that the
// same command, run again, ends as the first one would have. Workers are made side by side, control planes one after
// another, as etcd takes in one member at a time.
func PlanAdd(cluster provision.Cluster, p picture.Picture, asked Addition, mold Mold) (Plan, error) {
	begun := joining(cluster, asked.Role)
	plan := Plan{Cluster: cluster.Name, Configs: map[string][]byte{}}
	if err := errors.Join(asked.check(), checkHeard(p)); err != nil {
		return plan, err
	}
	if asked.Role == provision.ControlPlane {
		notes, err := checkGrowth(cluster, p, asked, begun)
		if err != nil {
			return plan, err
		}
		plan.Notes = append(plan.Notes, notes...)
	}
	fresh, err := takenIn(cluster, p).next(cluster, asked.Role, max(asked.Count-len(begun), 0))
	if err != nil {
		return plan, err
	}
	for i := range fresh {
		fresh[i] = asked.shape(fresh[i], mold.Node, cluster)
		plan.Configs[fresh[i].Name] = mold.Config
	}
	plan.Notes = append(plan.Notes, asked.notes(cluster, p, begun)...)
	plan.Steps = additions(cluster, begun, fresh)
	return plan, nil
}

// joining are the nodes of a role that an add has begun and not ended.
func joining(cluster provision.Cluster, role provision.Role) []provision.Node {
	return slices.DeleteFunc(slices.Clone(cluster.Nodes), func(n provision.Node) bool { return !n.Joining || n.Role != role })
}

func (a Addition) check() error {
	if a.Role != provision.Worker && a.Role != provision.ControlPlane {
		return provision.WithHint(fmt.Errorf("cannot add a node of role %q", a.Role), "use --role worker or --role controlplane")
	}
	if a.Count < 1 {
		return provision.WithHint(fmt.Errorf("cannot add %d nodes", a.Count), "ask for 1 or more with --count; bronze node remove takes nodes away")
	}
	return provision.CheckSize(a.Role, a.Resources)
}

// checkHeard refuses to choose names and addresses while a source is silent that may know them.
func checkHeard(p picture.Picture) error {
	for _, source := range []picture.Source{picture.Engine, picture.Kubernetes, picture.Discovery, picture.Etcd} {
		if why, silent := p.Silent[source]; silent {
			return passing{provision.WithHint(fmt.Errorf("cannot tell which names and addresses are free: %s does not answer: %s", source, why),
				"make the cluster answer first: bronze cluster start "+p.Cluster+", bronze cluster reconcile "+p.Cluster)}
		}
	}
	return nil
}

// checkGrowth tells why no control planes can be added now, or what the arithmetic is.
func checkGrowth(cluster provision.Cluster, p picture.Picture, asked Addition, begun []provision.Node) ([]string, error) {
	q := p.Quorum
	after := len(cluster.ControlPlanes()) - len(begun) + max(asked.Count, len(begun))
	repair := "bronze cluster reconcile " + cluster.Name + " first"
	switch {
	case cluster.Balancer == nil:
		return nil, provision.WithHint(errors.New("cannot add control planes to a cluster without a balancer: its endpoint is its first control plane"),
			"create a cluster with this version of bronze, which makes a balancer")
	case after%2 == 0 && !asked.AllowEven:
		return nil, provision.EvenFault(after)
	case len(begun) == 0 && q.Learners > 0:
		return nil, passing{provision.WithHint(errors.New("cannot add control planes while another member of etcd joins"), "wait for it, or "+repair)}
	case q.Alive < q.Members-notYet(p, begun):
		return nil, passing{provision.WithHint(fmt.Errorf("cannot add control planes while etcd is not whole: %s", votesOf(q)), repair)}
	case !q.Agreed:
		return nil, passing{provision.WithHint(errors.New("cannot add control planes while the members of etcd do not agree on who they are and who leads"), repair)}
	}
	return []string{fmt.Sprintf("etcd: %s; after: %d members, %d needed", votesOf(q), after, majority(after))}, nil
}

// notYet counts the voters that an interrupted add left, and that may not answer yet.
func notYet(p picture.Picture, begun []provision.Node) int {
	count := 0
	for _, node := range p.Nodes {
		mine := slices.ContainsFunc(begun, func(n provision.Node) bool { return n.Name == node.Name })
		if mine && node.Etcd != nil && !node.Etcd.Learner && !answersForItself(node) {
			count++
		}
	}
	return count
}

// shape gives a new node its size, mounts and image. Ports of the host belong to the source, who has them already.
func (a Addition) shape(node, mold provision.Node, cluster provision.Cluster) provision.Node {
	node.Resources = provision.Resources{
		CPUs:      cmp.Or(a.Resources.CPUs, mold.Resources.CPUs, provision.DefaultCPUs),
		MemoryMiB: cmp.Or(a.Resources.MemoryMiB, mold.Resources.MemoryMiB, provision.DefaultMemoryMiB),
	}
	node.Mounts = slices.Clone(mold.Mounts)
	if a.Image != cluster.Image {
		node.Image = a.Image
	}
	node.Joining = true
	return node
}

func (a Addition) notes(cluster provision.Cluster, p picture.Picture, begun []provision.Node) []string {
	var notes []string
	if len(begun) > 0 {
		notes = append(notes, fmt.Sprintf("an add that did not end has begun %s: they are finished, and count", names(begun)))
	}
	if a.Image != "" && a.Image != cluster.Image {
		notes = append(notes, fmt.Sprintf("the new nodes are of %s, the cluster is of %s", a.Image, cluster.Image))
	}
	if !cluster.Expect.NodesReady {
		notes = append(notes, "nodes are not waited for, as they are never Ready without a CNI, and the machine configs bring none")
	}
	if adoptable := handmade(p); len(adoptable) > 0 {
		notes = append(notes, fmt.Sprintf("%s: made by other hands; bronze node add %s --adopt makes them the cluster's", nameList(adoptable), cluster.Name))
	}
	return notes
}

func names(nodes []provision.Node) string {
	var words []string
	for _, node := range nodes {
		words = append(words, node.Name)
	}
	return strings.Join(words, ", ")
}

func nameList(nodes []picture.Node) string {
	var words []string
	for _, node := range nodes {
		words = append(words, node.Name)
	}
	return strings.Join(words, ", ")
}

// additions are the steps that make the begun nodes and the fresh ones, and the one that ends the add.
func additions(cluster provision.Cluster, begun, fresh []provision.Node) []Step {
	var steps planned
	var before, all []int
	for _, node := range slices.Concat(begun, fresh) {
		last := before
		if !slices.ContainsFunc(begun, func(n provision.Node) bool { return n.Name == node.Name }) {
			last = steps.add(Step{Action: Desire, Target: node.Name, Node: &node, Why: "the desired state comes before the world", After: last})
		}
		last = steps.add(Step{Action: CreateMachine, Target: node.Name, Why: "it was asked for", After: last})
		if node.Role == provision.ControlPlane {
			last = steps.add(Step{Action: AwaitVoter, Target: node.Name, Why: "etcd takes in one member at a time", After: last})
			before = last
		}
		if cluster.Expect.NodesReady {
			last = steps.add(Step{Action: AwaitReady, Target: node.Name, Why: "it is added when it takes pods", After: last})
		}
		all = append(all, last...)
	}
	steps.add(Step{Action: Settle, Target: cluster.Name, Why: "the add ends when all its nodes are there", After: all})
	return steps
}

// planned are the steps of a plan that is put together.
type planned []Step

// add appends a step, and answers what comes after it.
func (p *planned) add(step Step) []int {
	*p = append(*p, step)
	return []int{len(*p) - 1}
}
