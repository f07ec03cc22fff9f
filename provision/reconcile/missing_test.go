package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// scene is a cluster of nodes that run and know one another, and what a test changes of it.
type scene struct {
	picture picture.Picture
	facts   Facts
}

func newScene(controlPlanes, workers int) *scene {
	s := &scene{picture: picture.Picture{Cluster: "dev", Silent: map[picture.Source]string{}}}
	cluster := provision.Cluster{
		Name: "dev", Network: provision.Network{Name: "dev", Subnet: netip.MustParsePrefix("10.5.0.0/24")},
		Balancer: &provision.Balancer{Name: "dev-loadbalancer", IP: netip.MustParseAddr("10.5.0.254")},
		Expect:   provision.Expect{NodesReady: true},
	}
	s.facts = Facts{Record: provision.Record{Cluster: cluster, Configs: map[string][]byte{}}, Balancer: provision.MachineRunning}
	for number := range controlPlanes {
		s.join(provision.ControlPlane, number+1)
	}
	for number := range workers {
		s.join(provision.Worker, number+1)
	}
	s.picture.Quorum = picture.Quorum{Members: controlPlanes, Alive: controlPlanes, Needed: majority(controlPlanes), Agreed: true}
	return s
}

// join puts a node into the picture, and into what is desired, that all sources know.
func (s *scene) join(role provision.Role, number int) {
	serial := len(s.picture.Nodes) + 1
	desired := provision.Node{
		Name: provision.NodeName("dev", role, number), Role: role, IP: netip.AddrFrom4([4]byte{10, 5, 0, byte(serial + 1)}),
		Resources: provision.Resources{CPUs: 2, MemoryMiB: 2048},
	}
	id := fmt.Sprintf("id-%d", serial)
	node := picture.Node{
		Name: desired.Name, Role: role, State: picture.Running, Desired: &desired, KnownID: id,
		Machine:    &provision.Machine{ID: id, Name: desired.Name, Role: role, State: provision.MachineRunning, IP: desired.IP},
		Kubernetes: &picture.KubernetesNode{Name: desired.Name, UID: fmt.Sprintf("uid-%d", serial), IP: desired.IP},
		Affiliate:  &picture.Affiliate{NodeID: fmt.Sprintf("node-%d", serial), Nodename: desired.Name, Role: role},
	}
	for _, path := range boot.Volumes() {
		node.Volumes = append(node.Volumes, provision.Volume{Name: desired.Name + path, Node: desired.Name, Path: path})
	}
	if role == provision.ControlPlane {
		node.Etcd = &picture.EtcdMember{ID: uint64(serial), Name: desired.Name, IP: desired.IP}
	}
	s.picture.Nodes = append(s.picture.Nodes, node)
	s.facts.Record.Cluster.Nodes = append(s.facts.Record.Cluster.Nodes, desired)
	s.facts.Record.Configs[desired.Name] = []byte("config of " + desired.Name)
}

func (s *scene) node(name string) *picture.Node {
	at := slices.IndexFunc(s.picture.Nodes, func(n picture.Node) bool { return n.Name == name })
	return &s.picture.Nodes[at]
}

// lose is docker rm -f, with -v where the volumes are to go too.
func (s *scene) lose(name string, volumes bool) {
	node := s.node(name)
	node.State, node.Machine = picture.Missing, nil
	if volumes {
		node.Volumes = nil
	}
	if node.Etcd != nil {
		s.picture.Quorum.Alive--
	}
}

// turn is a machine that does not run, or does not answer.
func (s *scene) turn(name string, state picture.State) {
	node := s.node(name)
	node.State = state
	if node.Etcd != nil {
		s.picture.Quorum.Alive--
	}
	switch state {
	case picture.Paused:
		node.Machine.State = provision.MachinePaused
	case picture.Stopped:
		node.Machine.State = provision.MachineStopped
	}
}

func (s *scene) silence(sources ...picture.Source) {
	for _, source := range sources {
		s.picture.Silent[source] = "it is silent"
	}
	if slices.Contains(sources, picture.Etcd) {
		s.picture.Quorum = picture.Quorum{Needed: 1}
	}
}

// lines are the steps in words, with the numbers of those that they come after.
func lines(plan Plan) []string {
	var words []string
	for i, step := range plan.Steps {
		words = append(words, fmt.Sprintf("%d %s %v", i, step, step.After))
	}
	return words
}

func TestPlanMissing(t *testing.T) {
	const worker, leader = "dev-worker-1", "dev-controlplane-1"
	for _, test := range []struct {
		name    string
		size    [2]int
		change  func(*scene)
		policy  Missing
		steps   []string
		refusal string
		offer   string
		note    string
	}{
		{name: "nothing is wrong", size: [2]int{1, 1}, change: func(*scene) {}, policy: ReplaceMissing},
		{
			name: "a worker is forgotten", size: [2]int{1, 2}, change: func(s *scene) { s.lose(worker, true) }, policy: ForgetMissing,
			steps: []string{
				"0 release pods dev-worker-1 []", "1 delete Kubernetes node dev-worker-1 [0]", "2 forget affiliate dev-worker-1 []",
				"3 forget dev-worker-1 [1 2]", "4 verify dev-worker-1 [3]",
			},
		},
		{
			name: "a worker is replaced while it is forgotten", size: [2]int{1, 2}, change: func(s *scene) { s.lose(worker, false) }, policy: ReplaceMissing,
			steps: []string{
				"0 release pods dev-worker-1 []", "1 delete Kubernetes node dev-worker-1 [0]", "2 forget affiliate dev-worker-1 []",
				"3 remove volumes dev-worker-1 []", "4 desire dev-worker-3 []", "5 forget dev-worker-1 [1 2 3 4]", "6 verify dev-worker-1 [5]",
				"7 create machine dev-worker-3 [4]", "8 await Ready dev-worker-3 [7]",
			},
		},
		{
			name: "a worker comes back on its volumes", size: [2]int{1, 2}, change: func(s *scene) { s.lose(worker, false) }, policy: ResurrectMissing,
			steps: []string{"0 create machine dev-worker-1 []", "1 await Ready dev-worker-1 [0]"},
		},
		{
			name: "a worker whose volumes are gone does not come back", size: [2]int{1, 2}, change: func(s *scene) { s.lose(worker, true) }, policy: ResurrectMissing,
			refusal: "its volume for /system/state did not survive", offer: "--missing replace",
		},
		{
			name: "a control plane is forgotten", size: [2]int{3, 1}, change: func(s *scene) { s.lose(leader, true) }, policy: ForgetMissing,
			steps: []string{
				"0 take etcd snapshot dev []", "1 remove etcd member dev-controlplane-1 [0]",
				"2 release pods dev-controlplane-1 [1]", "3 delete Kubernetes node dev-controlplane-1 [2]", "4 forget affiliate dev-controlplane-1 [1]",
				"5 forget dev-controlplane-1 [1 3 4]", "6 verify dev-controlplane-1 [5]",
			},
			note: "etcd: 3 members, 2 alive, 2 needed; after removing dev-controlplane-1 (member 1): 2 members, 2 alive, 2 needed",
		},
		{
			name: "a control plane is removed before its replacement is made", size: [2]int{3, 0}, change: func(s *scene) { s.lose(leader, true) }, policy: ReplaceMissing,
			steps: []string{
				"0 take etcd snapshot dev []", "1 remove etcd member dev-controlplane-1 [0]",
				"2 release pods dev-controlplane-1 [1]", "3 delete Kubernetes node dev-controlplane-1 [2]", "4 forget affiliate dev-controlplane-1 [1]",
				"5 desire dev-controlplane-4 [1]", "6 forget dev-controlplane-1 [1 3 4 5]", "7 verify dev-controlplane-1 [6]",
				"8 create machine dev-controlplane-4 [7]", "9 await etcd voter dev-controlplane-4 [8]", "10 await Ready dev-controlplane-4 [9]",
				"11 verify dev-controlplane-4 [10]",
			},
		},
		{
			name: "two of three control planes are gone with their volumes", size: [2]int{3, 1},
			change: func(s *scene) { s.lose(leader, true); s.lose("dev-controlplane-2", true) }, policy: ReplaceMissing,
			refusal: "etcd has no quorum: 3 members, 1 alive, 2 needed", offer: "then bronze etcd recover dev: what was written after the newest snapshot is lost",
		},
		{
			name: "two of three control planes are gone", size: [2]int{3, 1},
			change: func(s *scene) { s.lose(leader, false); s.lose("dev-controlplane-2", false) }, policy: ForgetMissing,
			refusal: "etcd has no quorum: 3 members, 1 alive, 2 needed; its volumes survived it", offer: "bronze cluster reconcile dev --missing resurrect, by which nothing is lost",
		},
		{
			name: "one is gone and another is stopped", size: [2]int{3, 0},
			change: func(s *scene) { s.lose(leader, true); s.turn("dev-controlplane-2", picture.Stopped) }, policy: ForgetMissing,
			refusal: "no quorum", offer: "bronze cluster start dev first: dev-controlplane-2 may bring the quorum back",
		},
		{
			name: "two of five are gone, one after the other", size: [2]int{5, 0},
			change: func(s *scene) { s.lose(leader, true); s.lose("dev-controlplane-2", true) }, policy: ForgetMissing,
			steps: []string{
				"0 take etcd snapshot dev []", "1 remove etcd member dev-controlplane-1 [0]",
				"2 release pods dev-controlplane-1 [1]", "3 delete Kubernetes node dev-controlplane-1 [2]", "4 forget affiliate dev-controlplane-1 [1]",
				"5 forget dev-controlplane-1 [1 3 4]", "6 verify dev-controlplane-1 [5]",
				"7 take etcd snapshot dev [6]", "8 remove etcd member dev-controlplane-2 [7]",
				"9 release pods dev-controlplane-2 [8]", "10 delete Kubernetes node dev-controlplane-2 [9]", "11 forget affiliate dev-controlplane-2 [8]",
				"12 forget dev-controlplane-2 [8 10 11]", "13 verify dev-controlplane-2 [12]",
			},
			note: "after removing dev-controlplane-2 (member 2): 3 members, 3 alive, 2 needed",
		},
		{
			name: "the only control plane is gone", size: [2]int{1, 1},
			change: func(s *scene) { s.lose(leader, false); s.silence(picture.Kubernetes, picture.Discovery, picture.Etcd) }, policy: ForgetMissing,
			refusal: "1 control planes are desired, 0 of them run, 1 needed; its volumes survived it", offer: "--missing resurrect",
		},
		{
			name: "the only control plane comes back", size: [2]int{1, 1},
			change: func(s *scene) { s.lose(leader, false); s.silence(picture.Kubernetes, picture.Discovery, picture.Etcd) }, policy: ResurrectMissing,
			steps: []string{
				"0 create machine dev-controlplane-1 []", "1 await etcd voter dev-controlplane-1 [0]", "2 await Ready dev-controlplane-1 [1]",
			},
		},
		{
			name: "a control plane that was removed from etcd does not come back", size: [2]int{3, 0},
			change: func(s *scene) { s.lose(leader, false); s.node(leader).Etcd = nil }, policy: ResurrectMissing,
			refusal: "etcd does not list it any more", offer: "--missing replace",
		},
		{
			name: "the endpoint itself is gone", size: [2]int{3, 0},
			change: func(s *scene) { s.lose(leader, true); s.facts.Record.Cluster.Balancer = nil }, policy: ReplaceMissing,
			refusal: "it is the cluster's endpoint", offer: "--missing resurrect",
		},
		{
			name: "members do not agree", size: [2]int{3, 0},
			change: func(s *scene) { s.lose(leader, true); s.picture.Quorum.Agreed = false }, policy: ForgetMissing, refusal: "do not agree",
		},
		{
			name: "a member joins", size: [2]int{3, 0},
			change: func(s *scene) { s.lose(leader, true); s.picture.Quorum.Learners = 1 }, policy: ForgetMissing, refusal: "joins right now",
		},
		{
			name: "a paused control plane", size: [2]int{3, 0}, change: func(s *scene) { s.turn(leader, picture.Paused) }, policy: ForgetMissing,
			note: "dev-controlplane-1 is paused",
		},
		{
			name: "a stopped worker", size: [2]int{1, 1}, change: func(s *scene) { s.turn(worker, picture.Stopped) }, policy: ForgetMissing,
			note: "bronze cluster start dev",
		},
		{
			name: "Kubernetes does not answer", size: [2]int{1, 2},
			change: func(s *scene) { s.lose(worker, true); s.silence(picture.Kubernetes) }, policy: ForgetMissing, refusal: "kubernetes does not answer",
		},
		{
			name: "the engine does not answer", size: [2]int{1, 2},
			change: func(s *scene) { s.lose(worker, true); s.silence(picture.Engine) }, policy: ForgetMissing, refusal: "which proves nothing",
		},
		{
			name: "the balancer is gone", size: [2]int{1, 2},
			change: func(s *scene) { s.lose(worker, true); s.facts.Balancer = "" }, policy: ForgetMissing,
			steps: []string{"0 create balancer dev-loadbalancer []"}, note: "once the balancer carries",
		},
		{
			name: "a ghost", size: [2]int{1, 1}, policy: ResurrectMissing,
			change: func(s *scene) {
				s.lose(worker, true)
				node := s.node(worker)
				node.State, node.Desired = picture.Ghost, nil
			},
			steps: []string{
				"0 release pods dev-worker-1 []", "1 delete Kubernetes node dev-worker-1 [0]", "2 forget affiliate dev-worker-1 []",
				"3 verify dev-worker-1 [1 2]",
			},
		},
		{
			name: "a replacement that was desired before is not desired twice", size: [2]int{1, 2}, policy: ReplaceMissing,
			change: func(s *scene) { s.lose(worker, true); s.facts.Record.Cluster.Nodes[2].Replaces = worker },
			steps: []string{
				"0 release pods dev-worker-1 []", "1 delete Kubernetes node dev-worker-1 [0]", "2 forget affiliate dev-worker-1 []",
				"3 forget dev-worker-1 [1 2]", "4 verify dev-worker-1 [3]",
			},
		},
		{
			name: "a node that was desired and never made", size: [2]int{1, 1}, policy: ReplaceMissing,
			change: func(s *scene) { s.unmake(worker) },
			steps:  []string{"0 create machine dev-worker-1 []", "1 await Ready dev-worker-1 [0]"},
		},
		{
			name: "a node that was desired and never made is forgotten", size: [2]int{1, 1}, policy: ForgetMissing,
			change: func(s *scene) { s.unmake(worker) },
			steps:  []string{"0 forget dev-worker-1 []", "1 verify dev-worker-1 [0]"},
		},
		{
			name: "a machine that was made and never started", size: [2]int{1, 1}, policy: ForgetMissing,
			change: func(s *scene) {
				s.turn(worker, picture.Restarting)
				s.node(worker).Machine.State = provision.MachineCreated
			},
			steps: []string{"0 create machine dev-worker-1 []", "1 await Ready dev-worker-1 [0]"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScene(test.size[0], test.size[1])
			test.change(s)
			plan := PlanMissing(s.picture, s.facts, test.policy)
			if diff := cmp.Diff(test.steps, lines(plan)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			wantRefusal(t, plan.Refusals, test.refusal, test.offer)
			if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, test.note) {
				t.Errorf("notes %q, want %q in them", notes, test.note)
			}
		})
	}
}

// unmake leaves nothing of a node but the desire.
func (s *scene) unmake(name string) {
	node := s.node(name)
	*node = picture.Node{Name: name, Role: node.Role, State: picture.Missing, Desired: node.Desired}
}

func wantRefusal(t *testing.T, refusals []Refusal, why, offer string) {
	t.Helper()
	if why == "" {
		if len(refusals) > 0 {
			t.Errorf("refused: %+v", refusals)
		}
		return
	}
	for _, refusal := range refusals {
		if strings.Contains(refusal.Why, why) && strings.Contains(refusal.Offer, offer) {
			return
		}
	}
	t.Errorf("refused: %+v, want one with %q and the offer %q", refusals, why, offer)
}

func TestAReplacementIsOfTheSameKindAndHasNothingOfTheOldIdentity(t *testing.T) {
	s := newScene(1, 2)
	s.lose("dev-worker-1", false)
	old := *s.node("dev-worker-1").Desired
	plan := PlanMissing(s.picture, s.facts, ReplaceMissing)
	at := slices.IndexFunc(plan.Steps, func(step Step) bool { return step.Action == Desire })
	want := old
	want.Name, want.IP, want.Replaces = "dev-worker-3", netip.MustParseAddr("10.5.0.5"), old.Name
	if diff := cmp.Diff(&want, plan.Steps[at].Node, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := string(plan.Configs["dev-worker-3"]); got != "config of dev-worker-1" {
		t.Errorf("its machine config is %q", got)
	}
}

func TestNothingIsDoneBeforeTheSecondSighting(t *testing.T) {
	s := newScene(1, 2)
	s.lose("dev-worker-1", true)
	began := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	s.facts.Interval = DefaultInterval
	var seen Sightings
	for _, look := range []struct {
		after time.Duration
		acts  bool
	}{{0, false}, {29 * time.Second, false}, {30 * time.Second, true}} {
		s.facts.At = began.Add(look.after)
		seen = seen.Then(s.picture, s.facts.At)
		s.facts.Seen = seen
		plan := PlanMissing(s.picture, s.facts, ForgetMissing)
		if acts := len(plan.Steps) > 0; acts != look.acts || plan.waits != max(0, DefaultInterval-look.after) {
			t.Errorf("after %s: acts %t, waits %s", look.after, acts, plan.waits)
		}
	}
}

func TestSightings(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	gone := newScene(1, 1)
	gone.lose("dev-worker-1", true)
	back, silent := newScene(1, 1), newScene(1, 1)
	silent.lose("dev-worker-1", true)
	silent.silence(picture.Engine)
	other := newScene(1, 1)
	other.lose("dev-worker-1", true)
	other.node("dev-worker-1").KnownID = "another"
	for _, test := range []struct {
		name  string
		looks []*scene
		since int
	}{
		{"seen twice", []*scene{gone, gone}, 0},
		{"seen once", []*scene{back, gone}, 1},
		{"it was back between", []*scene{gone, back, gone}, 2},
		{"the engine was silent between", []*scene{gone, silent, gone}, 2},
		{"another machine of the name was seen between", []*scene{gone, other, gone}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen Sightings
			for i, look := range test.looks {
				seen = seen.Then(look.picture, at(i))
			}
			if got := seen.since(*gone.node("dev-worker-1"), at(99)); !got.Equal(at(test.since)) {
				t.Errorf("missing since %s, want %s", got, at(test.since))
			}
		})
	}
}

func TestAGhostThatFadesKeepsItsTime(t *testing.T) {
	s := newScene(1, 1)
	s.lose("dev-worker-1", true)
	ghost := s.node("dev-worker-1")
	ghost.State, ghost.Desired = picture.Ghost, nil
	seen := Sightings(nil).Then(s.picture, time.Unix(0, 0))
	ghost.Affiliate = nil
	seen = seen.Then(s.picture, time.Unix(30, 0))
	if since := seen.since(*ghost, time.Unix(30, 0)); !since.Equal(time.Unix(0, 0)) {
		t.Errorf("since %s", since)
	}
}
