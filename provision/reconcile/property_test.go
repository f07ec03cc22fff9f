package reconcile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// pictures is how many random pictures each property is held against.
const pictures = 3000

// randomScene is a cluster in any condition, possible or not.
func randomScene(chance *rand.Rand) *scene {
	s := newScene(1+chance.IntN(5), chance.IntN(4))
	coin := func(of int) bool { return chance.IntN(of) == 0 }
	if coin(4) {
		s.facts.Record.Cluster.Balancer = nil
	}
	for i := range s.picture.Nodes {
		s.disturb(&s.picture.Nodes[i], chance)
	}
	for _, source := range []picture.Source{picture.Engine, picture.Kubernetes, picture.Discovery, picture.Etcd} {
		if coin(15) {
			s.silence(source)
		}
	}
	s.facts.Balancer = []provision.MachineState{
		provision.MachineRunning, provision.MachineRunning, provision.MachineRunning, provision.MachineStopped, "",
	}[chance.IntN(5)]
	s.picture.Quorum.Agreed = s.picture.Quorum.Agreed && !coin(10)
	s.picture.Quorum.Needed = majority(s.picture.Quorum.Members)
	if coin(4) {
		s.facts.Interval = DefaultInterval
		s.facts.Seen = Sightings{}.Then(s.picture, time.Unix(0, 0))
		s.facts.At = time.Unix(chance.Int64N(60), 0)
	}
	return s
}

// disturb does something to a node.
func (s *scene) disturb(node *picture.Node, chance *rand.Rand) {
	coin := func(of int) bool { return chance.IntN(of) == 0 }
	switch chance.IntN(9) {
	case 0, 1:
		s.lose(node.Name, coin(2))
	case 2:
		s.lose(node.Name, coin(2))
		s.undesire(node)
		node.State = picture.Ghost
	case 3:
		s.turn(node.Name, []picture.State{picture.Paused, picture.Stopped, picture.Unreachable, picture.Restarting}[chance.IntN(4)])
	case 4:
		s.undesire(node)
		node.State = picture.Foreign
		if coin(2) {
			node.Machine = nil
		}
	case 5:
		if node.Desired != nil {
			s.lose(node.Name, true)
			s.unmake(node.Name)
		}
	}
	if coin(4) {
		node.Kubernetes = nil
	}
	if coin(4) {
		node.Affiliate = nil
	}
	if coin(6) && node.Desired != nil && len(s.picture.Nodes) > 1 {
		s.replaces(node.Name, s.picture.Nodes[chance.IntN(len(s.picture.Nodes))].Name)
	}
	s.vote(node, chance)
}

// vote lets a member be none, or join.
func (s *scene) vote(node *picture.Node, chance *rand.Rand) {
	lives := node.State == picture.Running || node.State == picture.Foreign && node.Machine != nil
	switch {
	case node.Role != provision.ControlPlane:
		return
	case node.Etcd == nil || chance.IntN(8) == 0:
		node.Etcd = nil
	case chance.IntN(8) == 0:
		node.Etcd.Learner = true
		s.picture.Quorum.Learners++
	default:
		return
	}
	s.picture.Quorum.Members--
	if lives || node.State == picture.Foreign {
		s.picture.Quorum.Alive--
	}
}

func (s *scene) undesire(node *picture.Node) {
	node.Desired, node.KnownID = nil, ""
	cluster := &s.facts.Record.Cluster
	cluster.Nodes = slices.DeleteFunc(slices.Clone(cluster.Nodes), func(n provision.Node) bool { return n.Name == node.Name })
	// A cluster without a founder is none.
	if len(cluster.Nodes) == 0 {
		cluster.Nodes = []provision.Node{{Name: "dev-controlplane-9", Role: provision.ControlPlane}}
	}
}

func (s *scene) replaces(name, other string) {
	nodes := s.facts.Record.Cluster.Nodes
	for i := range nodes {
		if nodes[i].Name == name {
			nodes[i].Replaces = other
		}
	}
}

// eachPlan checks a property of the plans for many random scenes under every policy.
func eachPlan(t *testing.T, check func(s *scene, plan Plan) error) {
	t.Helper()
	acting := 0
	for seed := range uint64(pictures) {
		for _, policy := range []Missing{ForgetMissing, ReplaceMissing, ResurrectMissing} {
			s := randomScene(rand.New(rand.NewPCG(seed, 4)))
			plan := PlanMissing(s.picture, s.facts, policy)
			if len(plan.Steps) > 0 {
				acting++
			}
			if err := check(s, plan); err != nil {
				t.Fatalf("seed %d, policy %s: %v\nsteps:\n%s\nquorum: %+v", seed, policy, err, strings.Join(lines(plan), "\n"), s.picture.Quorum)
			}
		}
	}
	if acting < pictures/2 {
		t.Errorf("only %d plans do anything: the pictures are too tame", acting)
	}
}

// ancestors tells of every step which steps are surely done before it.
func ancestors(plan Plan) []map[int]bool {
	before := make([]map[int]bool, len(plan.Steps))
	for i, step := range plan.Steps {
		before[i] = map[int]bool{}
		for _, earlier := range step.After {
			before[i][earlier] = true
			maps.Copy(before[i], before[earlier])
		}
	}
	return before
}

// owner is the node of the picture that a step's identities belong to.
func (s *scene) owner(step Step) *picture.Node {
	for i, node := range s.picture.Nodes {
		switch {
		case step.UID != "" && node.Kubernetes != nil && node.Kubernetes.UID == step.UID,
			step.NodeID != "" && node.Affiliate != nil && node.Affiliate.NodeID == step.NodeID,
			step.MemberID != 0 && node.Etcd != nil && node.Etcd.ID == step.MemberID,
			node.Name == step.Target && step.Action != Desire:
			return &s.picture.Nodes[i]
		}
	}
	return nil
}

func TestStepsComeAfterEarlierOnes(t *testing.T) {
	eachPlan(t, func(_ *scene, plan Plan) error {
		for i, step := range plan.Steps {
			if slices.ContainsFunc(step.After, func(earlier int) bool { return earlier >= i || earlier < 0 }) {
				return fmt.Errorf("step %d comes after %v", i, step.After)
			}
		}
		return nil
	})
}

func TestASilentEngineIsNotActedOn(t *testing.T) {
	eachPlan(t, func(s *scene, plan Plan) error {
		if _, silent := s.picture.Silent[picture.Engine]; silent && len(plan.Steps) > 0 {
			return fmt.Errorf("%d steps", len(plan.Steps))
		}
		return nil
	})
}

func TestOnlyTheMissingAndGhostsAreTouched(t *testing.T) {
	eachPlan(t, func(s *scene, plan Plan) error {
		for _, step := range plan.Steps {
			node := s.owner(step)
			if node == nil || step.Action == TakeSnapshot || step.Action == CreateBalancer {
				continue
			}
			if node.Machine != nil || node.State != picture.Missing && node.State != picture.Ghost {
				return fmt.Errorf("%s, which is %s", step, node.State)
			}
			if step.Action != Verify && step.Action != Forget && step.Action != AwaitVoter && step.Action != AwaitReady &&
				!step.Absent && step.Action != CreateMachine {
				return fmt.Errorf("%s without the fence", step)
			}
		}
		return nil
	})
}

func TestNothingYoungIsTouched(t *testing.T) {
	eachPlan(t, func(s *scene, plan Plan) error {
		if s.facts.Interval == 0 || s.facts.At.Sub(time.Unix(0, 0)) >= s.facts.Interval {
			return nil
		}
		for _, step := range plan.Steps {
			if step.Action != CreateBalancer {
				return fmt.Errorf("%s after %s", step, s.facts.At.Sub(time.Unix(0, 0)))
			}
		}
		return nil
	})
}

// TestQuorumHoldsAtEveryPrefix does each plan's steps in a random order that the plan allows, and counts after each.
func TestQuorumHoldsAtEveryPrefix(t *testing.T) {
	eachPlan(t, func(s *scene, plan Plan) error {
		v := votesOf(s.picture.Quorum)
		chance := rand.New(rand.NewPCG(uint64(len(plan.Steps)), 7))
		for _, i := range randomOrder(plan, chance) {
			step := plan.Steps[i]
			switch step.Action {
			case RemoveMember:
				member := *s.owner(step).Etcd
				if v.alive < majority(v.members) || !v.agreed {
					return fmt.Errorf("%s with %s, agreed %t", step, v, v.agreed)
				}
				v = v.without(member)
				if v.alive < majority(v.members) || v.joining > 0 {
					return fmt.Errorf("%s leaves %s and %d that join", step, v, v.joining)
				}
			case CreateMachine:
				if s.isFreshControlPlane(step) {
					v.joining++
				}
			case AwaitVoter:
				if s.isFreshControlPlane(step) {
					v.joining--
					v = v.with()
				}
			}
		}
		return nil
	})
}

// isFreshControlPlane tells a step for a control plane that becomes a new member from one that comes back as the old one.
func (s *scene) isFreshControlPlane(step Step) bool {
	node := s.owner(Step{Target: step.Target})
	return strings.Contains(step.Target, string(provision.ControlPlane)) && (node == nil || node.Etcd == nil)
}

func randomOrder(plan Plan, chance *rand.Rand) []int {
	var order []int
	done := map[int]bool{}
	for len(order) < len(plan.Steps) {
		var ready []int
		for i, step := range plan.Steps {
			if !done[i] && !slices.ContainsFunc(step.After, func(earlier int) bool { return !done[earlier] }) {
				ready = append(ready, i)
			}
		}
		next := ready[chance.IntN(len(ready))]
		done[next] = true
		order = append(order, next)
	}
	return order
}

func TestTwoControlPlanesAreNeverRemovedWithoutAVerifyBetween(t *testing.T) {
	eachPlan(t, func(_ *scene, plan Plan) error {
		before := ancestors(plan)
		last := -1
		for i, step := range plan.Steps {
			if step.Action != RemoveMember {
				continue
			}
			verified := last < 0
			for v := range before[i] {
				verified = verified || plan.Steps[v].Action == Verify && before[v][last]
			}
			if !verified {
				return fmt.Errorf("no verify between steps %d and %d", last, i)
			}
			last = i
		}
		return nil
	})
}

func TestANodeIsForgottenLast(t *testing.T) {
	eachPlan(t, func(_ *scene, plan Plan) error {
		before := ancestors(plan)
		for i, forget := range plan.Steps {
			if forget.Action != Forget {
				continue
			}
			for j, other := range plan.Steps {
				erases := slices.Contains([]Action{RemoveMember, ReleasePods, DeleteNode, RemoveVolumes, ForgetAffiliate}, other.Action)
				if other.Target == forget.Target && erases && !before[i][j] {
					return fmt.Errorf("%s before %s", forget, other)
				}
			}
		}
		return nil
	})
}

func TestAMemberIsRemovedAfterASnapshot(t *testing.T) {
	eachPlan(t, func(_ *scene, plan Plan) error {
		before := ancestors(plan)
		for i, step := range plan.Steps {
			taken := step.Action != RemoveMember
			for j := range before[i] {
				taken = taken || plan.Steps[j].Action == TakeSnapshot
			}
			if !taken {
				return fmt.Errorf("%s without one", step)
			}
		}
		return nil
	})
}

func TestAFreshNodeHasNothingOfAnother(t *testing.T) {
	eachPlan(t, func(s *scene, plan Plan) error {
		names, addresses := map[string]bool{}, map[netip.Addr]bool{}
		for _, node := range s.picture.Nodes {
			names[node.Name] = true
			for _, other := range []*picture.Node{&node} {
				if other.Desired != nil {
					addresses[other.Desired.IP] = true
				}
				if other.Kubernetes != nil {
					addresses[other.Kubernetes.IP] = true
				}
				if other.Etcd != nil {
					addresses[other.Etcd.IP] = true
				}
				if other.Machine != nil {
					addresses[other.Machine.IP] = true
				}
			}
		}
		for _, step := range plan.Steps {
			if step.Action != Desire {
				continue
			}
			if names[step.Node.Name] || addresses[step.Node.IP] {
				return fmt.Errorf("%s at %s is not free", step, step.Node.IP)
			}
			names[step.Node.Name], addresses[step.Node.IP] = true, true
		}
		return nil
	})
}

// TestResurrectionDeletesNothing holds for missing nodes; ghosts are cleared whatever the policy.
func TestResurrectionDeletesNothing(t *testing.T) {
	for seed := range uint64(pictures) {
		s := randomScene(rand.New(rand.NewPCG(seed, 5)))
		for _, step := range PlanMissing(s.picture, s.facts, ResurrectMissing).Steps {
			harmless := slices.Contains([]Action{CreateBalancer, TakeSnapshot, CreateMachine, AwaitVoter, AwaitReady, Verify}, step.Action)
			if node := s.owner(step); node != nil && node.State == picture.Missing && !harmless {
				t.Fatalf("seed %d: %s", seed, step)
			}
		}
	}
}
