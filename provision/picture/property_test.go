package picture_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// worlds is how many random sources each property is held against.
const worlds = 1500

// chance makes sources in which names, addresses and identities collide all the time.
type chance struct{ *rand.Rand }

func pick[T any](c chance, values ...T) T { return values[c.IntN(len(values))] }

func (c chance) name() string   { return fmt.Sprintf("n%d", c.IntN(5)) }
func (c chance) nodeID() string { return pick(c, id("a"), id("b"), id("c"), id("d"), id("e"), "no-id") }
func (c chance) memberID() uint64 {
	return uint64(1 + c.IntN(5))
}

func (c chance) ip() netip.Addr {
	return pick(c, ip("10.5.0.2"), ip("10.5.0.3"), ip("10.5.0.4"), ip("10.5.0.5"), ip("192.168.0.1"), netip.Addr{})
}

func (c chance) role() provision.Role { return pick(c, provision.ControlPlane, provision.Worker) }

func (c chance) error() string { return pick(c, "", "", "", "", "does not answer") }

// several makes up to n values.
func several[T any](c chance, n int, value func(i int) T) []T {
	var values []T
	for i := range c.IntN(n + 1) {
		values = append(values, value(i))
	}
	return values
}

// distinct keeps the first value of each key, as each source has an identity once.
func distinct[T any, K comparable](values []T, key func(T) K) []T {
	seen := map[K]bool{}
	return slices.DeleteFunc(values, func(v T) bool {
		known := seen[key(v)]
		seen[key(v)] = true
		return known
	})
}

func (c chance) sources() picture.Sources {
	s := picture.Sources{
		Cluster: "dev", At: now(), EngineError: c.error(), KubernetesError: c.error(),
		Interviews: map[string]picture.Interview{}, Known: map[string]string{}, Astray: map[string]string{},
	}
	if c.IntN(5) > 0 {
		s.Desired = &provision.Cluster{Network: provision.Network{Subnet: netip.MustParsePrefix("10.5.0.0/24")}}
		s.Desired.Nodes = distinct(several(c, 5, func(int) provision.Node {
			return provision.Node{Name: c.name(), Role: c.role(), IP: c.ip()}
		}), func(n provision.Node) string { return n.Name })
	}
	s.Engine.Machines = distinct(several(c, 5, c.machine), func(m provision.Machine) string { return m.Name })
	s.Engine.Volumes = several(c, 4, func(i int) provision.Volume { return provision.Volume{Name: fmt.Sprint("v", i), Node: c.name()} })
	s.Kubernetes = several(c, 5, c.kubernetes)
	for range c.IntN(6) {
		s.Interviews[c.name()] = c.interview()
	}
	for range c.IntN(3) {
		s.Known[c.name()] = fmt.Sprint("id-", c.IntN(5))
		s.Astray[c.name()] = c.error()
	}
	return s
}

func (c chance) machine(i int) provision.Machine {
	return provision.Machine{
		ID: fmt.Sprint("id-", i), Name: c.name(), Role: c.role(), IP: c.ip(),
		State: pick(c, provision.MachineRunning, provision.MachineRunning, provision.MachinePaused, provision.MachineStopped,
			provision.MachineCreated, provision.MachineRestarting, provision.MachineState("odd")),
	}
}

func (c chance) kubernetes(i int) picture.KubernetesNode {
	return picture.KubernetesNode{
		Name: c.name(), UID: fmt.Sprint("uid-", i), MachineID: picture.MachineID(c.nodeID()), IP: c.ip(), Ready: c.IntN(2) == 0,
		Heartbeat: now().Add(-pick(c, time.Second, time.Hour)),
	}
}

func (c chance) interview() picture.Interview {
	if why := c.error(); why != "" {
		return picture.Interview{Error: why}
	}
	interview := picture.Interview{NodeID: c.nodeID(), Affiliates: distinct(several(c, 4, func(int) picture.Affiliate {
		return picture.Affiliate{NodeID: c.nodeID(), Nodename: c.name(), Role: c.role(), Addresses: several(c, 2, func(int) netip.Addr { return c.ip() })}
	}), func(a picture.Affiliate) string { return a.NodeID })}
	if c.IntN(2) == 0 {
		interview.Etcd = &picture.EtcdAnswer{Self: c.memberID(), Leader: c.memberID(), Members: distinct(several(c, 4, func(int) picture.EtcdMember {
			return picture.EtcdMember{ID: c.memberID(), Name: pick(c, "", c.name()), IP: c.ip(), Learner: c.IntN(4) == 0}
		}), func(m picture.EtcdMember) uint64 { return m.ID })}
	}
	return interview
}

// holds checks a property against random sources; the seed of those that break it is in the error.
func holds(t *testing.T, property func(c chance, s picture.Sources, p picture.Picture) string) {
	t.Helper()
	for range worlds {
		seed := rand.Uint64()
		c := chance{rand.New(rand.NewPCG(seed, 0))}
		sources := c.sources()
		got := picture.Join(sources)
		if broken := property(c, sources, got); broken != "" {
			t.Fatalf("seed %d: %s\nof %+v\nin %+v", seed, broken, sources, got)
		}
	}
}

func plain() []cmp.Option {
	return []cmp.Option{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmpopts.EquateEmpty(),
	}
}

func TestEveryFactIsInExactlyOneNode(t *testing.T) {
	holds(t, func(_ chance, s picture.Sources, p picture.Picture) string {
		want, got := countSources(s), map[string]int{}
		for _, n := range p.Nodes {
			for _, fact := range factsOf(n) {
				got[fact]++
			}
		}
		return cmp.Diff(want, got)
	})
}

// countSources has a 1 for each fact of those sources that answered.
func countSources(s picture.Sources) map[string]int {
	facts := map[string]int{}
	if s.Desired != nil {
		for _, n := range s.Desired.Nodes {
			facts["desired "+n.Name] = 1
		}
	}
	if s.EngineError == "" {
		for _, m := range s.Engine.Machines {
			facts["machine "+m.ID] = 1
		}
		for _, v := range s.Engine.Volumes {
			facts["volume "+v.Name] = 1
		}
	}
	if s.KubernetesError == "" {
		for _, n := range s.Kubernetes {
			facts["node "+n.UID] = 1
		}
	}
	for _, i := range s.Interviews {
		facts["answer"]++
		for _, a := range i.Affiliates {
			facts["affiliate "+a.NodeID] = 1
		}
		if i.Etcd != nil {
			for _, m := range i.Etcd.Members {
				facts[fmt.Sprint("member ", m.ID)] = 1
			}
		}
	}
	return facts
}

func factsOf(n picture.Node) []string {
	var facts []string
	if n.Desired != nil {
		facts = append(facts, "desired "+n.Desired.Name)
	}
	if n.Machine != nil {
		facts = append(facts, "machine "+n.Machine.ID)
	}
	if n.Answer != nil {
		facts = append(facts, "answer")
	}
	for _, v := range n.Volumes {
		facts = append(facts, "volume "+v.Name)
	}
	if n.Kubernetes != nil {
		facts = append(facts, "node "+n.Kubernetes.UID)
	}
	if n.Affiliate != nil {
		facts = append(facts, "affiliate "+n.Affiliate.NodeID)
	}
	if n.Etcd != nil {
		facts = append(facts, fmt.Sprint("member ", n.Etcd.ID))
	}
	return facts
}

func TestTheOrderOfTheSourcesDoesNotMatter(t *testing.T) {
	holds(t, func(c chance, s picture.Sources, p picture.Picture) string {
		if s.Desired != nil {
			desired := *s.Desired
			desired.Nodes = shuffled(c, desired.Nodes)
			s.Desired = &desired
		}
		s.Engine.Machines, s.Engine.Volumes = shuffled(c, s.Engine.Machines), shuffled(c, s.Engine.Volumes)
		s.Kubernetes = shuffled(c, s.Kubernetes)
		interviews := map[string]picture.Interview{}
		for name, interview := range s.Interviews {
			interview.Affiliates = shuffled(c, interview.Affiliates)
			interviews[name] = interview
		}
		s.Interviews = interviews
		return cmp.Diff(p, picture.Join(s), plain()...)
	})
}

func shuffled[T any](c chance, values []T) []T {
	values = slices.Clone(values)
	c.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	return values
}

func TestStatesNeverSayMoreThanTheSources(t *testing.T) {
	holds(t, func(_ chance, s picture.Sources, p picture.Picture) string {
		for _, n := range p.Nodes {
			machine, desired := n.Machine, n.Desired
			dead := n.State == picture.Missing || n.State == picture.Ghost
			for _, rule := range []struct {
				name   string
				broken bool
			}{
				{"every node has a state, a reason and a name", n.State == "" || n.Why == "" || n.Name == ""},
				{"nothing is missing or ghost while the engine is silent", dead && s.EngineError != ""},
				{"nothing is known of a machine while the engine is silent", n.State != picture.Unreachable && s.EngineError != ""},
				{"nothing is a ghost while Kubernetes is silent", n.State == picture.Ghost && s.KubernetesError != ""},
				{"what has a machine is neither missing nor a ghost", dead && machine != nil},
				{"paused is paused", (machine != nil && machine.State == provision.MachinePaused) != (n.State == picture.Paused)},
				{"missing is desired", n.State == picture.Missing && desired == nil},
				{"foreign and ghost are not desired", desired != nil && (n.State == picture.Foreign || n.State == picture.Ghost)},
				{"nothing is foreign or ghost while nobody knows what is desired", s.Desired == nil && (n.State == picture.Foreign || n.State == picture.Ghost)},
				{"running answers", n.State == picture.Running && (n.Answer == nil || n.Answer.Error != "")},
				{"who answers is no ghost", n.State == picture.Ghost && n.Answer != nil && n.Answer.Error == ""},
				{"who is Ready is no ghost", n.State == picture.Ghost && n.Kubernetes != nil && n.Kubernetes.Ready},
				{"who is elsewhere is no ghost", n.State == picture.Ghost && n.Etcd != nil && n.Etcd.IP == ip("192.168.0.1")},
				{"a machine is that of the desired name", machine != nil && desired != nil && machine.Name != desired.Name},
				{"a machine that is known by its ID is not lost", n.State == picture.Missing && hasMachine(s, n.KnownID)},
			} {
				if rule.broken {
					return rule.name + ": " + line(n)
				}
			}
		}
		return ""
	})
}

func hasMachine(s picture.Sources, id string) bool {
	return slices.ContainsFunc(s.Engine.Machines, func(m provision.Machine) bool { return m.ID == id })
}

func TestIdentitiesOfOneNodeNeverDiffer(t *testing.T) {
	holds(t, func(_ chance, _ picture.Sources, p picture.Picture) string {
		for _, n := range p.Nodes {
			if n.Answer == nil {
				continue
			}
			own := n.Answer
			if n.Affiliate != nil && own.NodeID != "" && n.Affiliate.NodeID != own.NodeID {
				return "another's affiliate: " + line(n)
			}
			machineID := picture.MachineID(own.NodeID)
			if n.Kubernetes != nil && machineID != "" && n.Kubernetes.MachineID != "" && n.Kubernetes.MachineID != machineID {
				return "another's Node: " + line(n)
			}
			if n.Etcd != nil && own.Member != 0 && n.Etcd.ID != own.Member {
				return "another's member: " + line(n)
			}
		}
		return ""
	})
}

func TestQuorumNeverCountsMoreThanAnswer(t *testing.T) {
	holds(t, func(_ chance, s picture.Sources, p picture.Picture) string {
		answers := 0
		for _, i := range s.Interviews {
			if i.Etcd != nil {
				answers++
			}
		}
		q := p.Quorum
		if q.Alive > answers || q.Alive > q.Members || q.Needed != q.Members/2+1 || q.Agreed && answers == 0 {
			return fmt.Sprintf("%d answers make %+v", answers, q)
		}
		return ""
	})
}
