package picture_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jxskiss/base62"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

func now() time.Time { return time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC) }

// id is a node ID that begins with the letter.
func id(letter string) string {
	return base62.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

// world is what the sources say; its methods change it as the real world would change.
type world struct{ picture.Sources }

// node is one node of the world, in all that the sources say of it.
type node struct {
	name, ip, letter string
	role             provision.Role
	member           uint64
}

func cp1() node { return node{"dev-controlplane-1", "10.5.0.2", "a", provision.ControlPlane, 0xa1} }
func cp2() node { return node{"dev-controlplane-2", "10.5.0.3", "b", provision.ControlPlane, 0xb2} }
func cp3() node { return node{"dev-controlplane-3", "10.5.0.4", "c", provision.ControlPlane, 0xc3} }
func w1() node  { return node{"dev-worker-1", "10.5.0.5", "d", provision.Worker, 0} }

func (n node) desired() provision.Node {
	return provision.Node{Name: n.name, Role: n.role, IP: ip(n.ip)}
}

func (n node) machine() provision.Machine {
	return provision.Machine{
		ID: "id-" + n.name, Name: n.name, Cluster: "dev", Role: n.role, State: provision.MachineRunning, IP: ip(n.ip),
	}
}

func (n node) kubernetes() picture.KubernetesNode {
	return picture.KubernetesNode{
		Name: n.name, UID: "uid-" + n.letter, MachineID: picture.MachineID(id(n.letter)), IP: ip(n.ip),
		ControlPlane: n.role == provision.ControlPlane, Ready: true, Heartbeat: now(),
	}
}

func (n node) affiliate() picture.Affiliate {
	return picture.Affiliate{
		NodeID: id(n.letter), Nodename: n.name, Hostname: n.name, Role: n.role, Addresses: []netip.Addr{ip(n.ip)},
	}
}

func (n node) etcd() picture.EtcdMember {
	return picture.EtcdMember{ID: n.member, Name: n.name, IP: ip(n.ip)}
}

// cluster is a healthy cluster of those nodes, the first of which leads etcd.
func cluster(nodes ...node) *world {
	w := &world{picture.Sources{
		Cluster: "dev", At: now(), Interviews: map[string]picture.Interview{}, Known: map[string]string{},
		Desired: &provision.Cluster{Name: "dev", Network: provision.Network{Subnet: netip.MustParsePrefix("10.5.0.0/24")}},
	}}
	for _, n := range nodes {
		w.Desired.Nodes = append(w.Desired.Nodes, n.desired())
		w.Engine.Machines = append(w.Engine.Machines, n.machine())
		w.Engine.Volumes = append(w.Engine.Volumes, provision.Volume{Name: n.name + "-var", Cluster: "dev", Node: n.name, Path: "/var"})
		w.Known[n.name] = "id-" + n.name
		w.join(n)
	}
	return w
}

// join lets a node that runs be known to Kubernetes, discovery and etcd.
func (w *world) join(n node) {
	w.Kubernetes = append(w.Kubernetes, n.kubernetes())
	w.Interviews[n.name] = picture.Interview{NodeID: id(n.letter)}
	w.announce(n.affiliate())
	if n.member != 0 {
		self := w.Interviews[n.name]
		self.Etcd = &picture.EtcdAnswer{Self: n.member, Leader: w.leader(n.member), Members: w.members()}
		w.Interviews[n.name] = self
		w.enlist(n.etcd())
	}
	for _, other := range w.Interviews {
		for _, affiliate := range other.Affiliates {
			w.announce(affiliate)
		}
	}
}

func (w *world) leader(otherwise uint64) uint64 {
	for _, interview := range w.Interviews {
		if interview.Etcd != nil {
			return interview.Etcd.Leader
		}
	}
	return otherwise
}

func (w *world) members() []picture.EtcdMember {
	for _, interview := range w.Interviews {
		if interview.Etcd != nil {
			return slices.Clone(interview.Etcd.Members)
		}
	}
	return nil
}

// announce lets all that answer know an affiliate, enlist all members a member.
func (w *world) announce(affiliate picture.Affiliate) {
	w.each(func(i *picture.Interview) {
		known := func(a picture.Affiliate) bool { return a.NodeID == affiliate.NodeID }
		if i.Error == "" && !slices.ContainsFunc(i.Affiliates, known) {
			i.Affiliates = append(i.Affiliates, affiliate)
		}
	})
}

func (w *world) enlist(member picture.EtcdMember) {
	w.each(func(i *picture.Interview) {
		if i.Etcd != nil {
			i.Etcd = &picture.EtcdAnswer{Self: i.Etcd.Self, Leader: i.Etcd.Leader, Members: append(slices.Clone(i.Etcd.Members), member)}
		}
	})
}

func (w *world) each(change func(*picture.Interview)) {
	for name, interview := range w.Interviews {
		change(&interview)
		w.Interviews[name] = interview
	}
}

// removeMachine is docker rm -f: all others keep what they knew.
func (w *world) removeMachine(n node) {
	w.Engine.Machines = slices.DeleteFunc(w.Engine.Machines, func(m provision.Machine) bool { return m.Name == n.name })
	delete(w.Interviews, n.name)
}

// turn brings a machine to a state in which it does not answer.
func (w *world) turn(n node, to provision.MachineState) {
	for i := range w.Engine.Machines {
		if w.Engine.Machines[i].Name == n.name {
			w.Engine.Machines[i].State = to
		}
	}
	delete(w.Interviews, n.name)
}

// mute lets a node that runs not answer.
func (w *world) mute(n node) {
	w.Interviews[n.name] = picture.Interview{Error: "timed out"}
}

// lose makes Kubernetes call a Node lost.
func (w *world) lose(n node) {
	for i := range w.Kubernetes {
		if w.Kubernetes[i].UID == "uid-"+n.letter {
			w.Kubernetes[i].Ready, w.Kubernetes[i].Heartbeat = false, now().Add(-time.Hour)
		}
	}
}

// run makes a machine by hand.
func (w *world) run(n node) {
	w.Engine.Machines = append(w.Engine.Machines, n.machine())
}

// line is a node of the picture in short: its state, and D M A K E V for what the sources have of it.
func line(n picture.Node) string {
	var has string
	for _, fact := range []struct {
		letter string
		there  bool
	}{
		{"D", n.Desired != nil}, {"M", n.Machine != nil}, {"K", n.Kubernetes != nil},
		{"A", n.Affiliate != nil}, {"E", n.Etcd != nil}, {"V", n.Volumes != nil},
	} {
		if fact.there {
			has += fact.letter
		}
	}
	return n.Name + " " + string(n.State) + " " + has
}

func lines(p picture.Picture) []string {
	var all []string
	for _, n := range p.Nodes {
		all = append(all, line(n))
	}
	return all
}

func TestEachNodeComesOutInOneState(t *testing.T) {
	for _, test := range []struct {
		name string
		be   func(w *world)
		want []string
		why  string // in that of the first node which is not running
	}{
		{
			name: "a healthy cluster", be: func(*world) {},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV"},
		},
		{
			name: "a paused worker", be: func(w *world) { w.turn(w1(), provision.MachinePaused); w.lose(w1()) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 paused DMKAV"}, why: "its machine is paused",
		},
		{
			name: "a stopped worker", be: func(w *world) { w.turn(w1(), provision.MachineStopped) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 stopped DMKAV"}, why: "its machine is stopped",
		},
		{
			name: "a machine that was made and not started", be: func(w *world) { w.turn(w1(), provision.MachineCreated) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 restarting DMKAV"}, why: "was made",
		},
		{
			name: "a machine that its engine starts again", be: func(w *world) { w.turn(w1(), provision.MachineRestarting) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 restarting DMKAV"}, why: "starts its machine again",
		},
		{
			name: "a worker that does not answer", be: func(w *world) { w.mute(w1()) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DMKAV"}, why: "timed out",
		},
		{
			name: "a worker that nobody asked", be: func(w *world) { delete(w.Interviews, w1().name) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DMKAV"}, why: "could not be asked",
		},
		{
			name: "a worker that was removed brutally, its volumes too",
			be: func(w *world) {
				w.removeMachine(w1())
				w.Engine.Volumes = w.Engine.Volumes[:1]
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 missing DKA"}, why: "nor the one it had, id-dev-worke",
		},
		{
			name: "the only control plane was removed brutally",
			be:   func(w *world) { w.removeMachine(cp1()); w.lose(cp1()) },
			want: []string{"dev-controlplane-1 missing DKAV", "dev-worker-1 running DMKAV"}, why: "the engine has no machine",
		},
		{
			name: "a lost worker whose known machine is found by its ID", be: func(w *world) {
				w.removeMachine(w1())
				w.Astray = map[string]string{w1().name: "the engine finds it as old"}
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DKAV"}, why: "the engine finds it as old",
		},
		{
			name: "a renamed container", be: func(w *world) { w.Engine.Machines[1].Name = "renamed"; w.rename(w1().name, "renamed") },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DV", "renamed foreign MKA"},
			why:  "is still there, as renamed",
		},
		{
			name: "a renamed container in a state directory that knows no machines",
			be: func(w *world) {
				w.Engine.Machines[1].Name, w.Known = "renamed", nil
				w.rename(w1().name, "renamed")
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DV", "renamed foreign MKA"},
			why:  "may have been renamed",
		},
		{
			name: "a container that was renamed and paused, in a state directory that knows no machines",
			be: func(w *world) {
				w.turn(w1(), provision.MachinePaused)
				w.Engine.Machines[1].Name, w.Known = "renamed", nil
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DKAV", "renamed paused M"},
			why:  "does not say who it is",
		},
		{
			name: "a worker made by hand", be: func(w *world) { n := node{"mine", "10.5.0.9", "m", provision.Worker, 0}; w.run(n); w.join(n) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "mine foreign MKA"},
		},
		{
			name: "a worker made by hand and paused",
			be: func(w *world) {
				n := node{"mine", "10.5.0.9", "m", provision.Worker, 0}
				w.run(n)
				w.join(n)
				w.turn(n, provision.MachinePaused)
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "mine paused MKA"},
			why:  "is not desired",
		},
		{
			name: "a worker made by hand and stopped, so that the engine tells no address",
			be: func(w *world) {
				n := node{"mine", "10.5.0.9", "m", provision.Worker, 0}
				w.run(n)
				w.join(n)
				w.turn(n, provision.MachineStopped)
				w.lose(n)
				w.Engine.Machines[2].IP = netip.Addr{}
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "mine foreign M", "mine unreachable KA"},
		},
		{
			name: "a worker made by hand and just removed", be: func(w *world) { w.join(node{"mine", "10.5.0.9", "m", provision.Worker, 0}); w.silence("mine") },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "mine foreign KA"},
		},
		{
			name: "a worker made by hand and removed long ago",
			be: func(w *world) {
				n := node{"mine", "10.5.0.9", "m", provision.Worker, 0}
				w.join(n)
				w.silence("mine")
				w.lose(n)
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "mine ghost KA"},
		},
		{
			name: "a node on another host",
			be: func(w *world) {
				n := node{"far", "192.168.7.9", "m", provision.Worker, 0}
				w.join(n)
				w.silence("far")
				w.lose(n)
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "far foreign KA"},
		},
		{
			name: "a machine made by hand that took the address of a lost worker",
			be: func(w *world) {
				w.removeMachine(w1())
				n := node{"mine", w1().ip, "m", provision.Worker, 0}
				w.run(n)
				w.join(n)
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 missing DKAV", "mine foreign MKA"},
		},
		{
			name: "a machine that took the address of a lost worker and does not say who it is",
			be: func(w *world) {
				w.removeMachine(w1())
				n := node{"mine", w1().ip, "m", provision.Worker, 0}
				w.run(n)
				w.mute(n)
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DKAV", "mine foreign M"},
			why:  "does not say who it is",
		},
		{
			name: "two affiliates of one name",
			be: func(w *world) {
				old := w1().affiliate()
				old.NodeID = id("x")
				w.announce(old)
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "dev-worker-1 ghost A"},
		},
		{
			name: "two affiliates of one name, and a node that does not say which it is",
			be: func(w *world) {
				old := w1().affiliate()
				old.NodeID = id("x")
				w.announce(old)
				w.mute(w1())
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 unreachable DMKAV", "dev-worker-1 unreachable A"},
			why:  "timed out",
		},
		{
			name: "a Node that was made anew with another UID",
			be: func(w *world) {
				old := w1().kubernetes()
				old.UID, old.MachineID = "uid-x", picture.MachineID(id("x"))
				w.Kubernetes = append([]picture.KubernetesNode{old}, w.Kubernetes...)
				w.lose(node{letter: "x"})
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "dev-worker-1 ghost K"},
		},
		{
			name: "a dead member under a living member's name, at another address",
			be:   func(w *world) { w.enlist(picture.EtcdMember{ID: 0xff, Name: cp1().name, IP: ip("10.5.0.77")}) },
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-controlplane-1 ghost E", "dev-worker-1 running DMKAV"},
		},
		{
			name: "a member that did not start yet, at the address of nobody",
			be:   func(w *world) { w.enlist(picture.EtcdMember{ID: 0xff, IP: ip("10.5.0.77"), Learner: true}) },
			want: []string{"00000000000000ff ghost E", "dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV"},
		},
		{
			name: "a control plane whose etcd does not answer keeps its member",
			be: func(w *world) {
				w.join(cp2())
				w.Desired.Nodes = append(w.Desired.Nodes, cp2().desired())
				w.run(cp2())
				w.each(func(i *picture.Interview) {
					if i.NodeID == id("b") {
						i.Etcd, i.EtcdError = nil, "refused"
					}
				})
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-controlplane-2 running DMKAE", "dev-worker-1 running DMKAV"},
		},
		{
			name: "a control plane that was forgotten and never cleared up",
			be: func(w *world) {
				w.join(cp2())
				w.silence(cp2().name)
				w.lose(cp2())
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-controlplane-2 ghost KAE", "dev-worker-1 running DMKAV"},
		},
		{
			name: "volumes that were left",
			be: func(w *world) {
				w.Engine.Volumes = append(w.Engine.Volumes,
					provision.Volume{Name: "old-opt", Cluster: "dev", Node: "old"}, provision.Volume{Name: "old-var", Cluster: "dev", Node: "old"},
					provision.Volume{Name: "balancer-state", Cluster: "dev", Node: provision.BalancerName("dev")})
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-worker-1 running DMKAV", "old ghost V"},
		},
		{
			name: "volumes of a node that is not desired any more and that Kubernetes has not missed yet",
			be: func(w *world) {
				w.join(cp2())
				w.silence(cp2().name)
				w.Engine.Volumes = append(w.Engine.Volumes, provision.Volume{Name: "var", Cluster: "dev", Node: cp2().name})
			},
			want: []string{"dev-controlplane-1 running DMKAEV", "dev-controlplane-2 foreign KAEV", "dev-worker-1 running DMKAV"},
		},
		{
			name: "volumes of a name that two have",
			be: func(w *world) {
				for _, id := range []uint64{0xfe, 0xff} {
					w.enlist(picture.EtcdMember{ID: id, Name: "old", IP: ip("10.5.0.77")})
				}
				w.Engine.Volumes = append(w.Engine.Volumes, provision.Volume{Name: "var", Cluster: "dev", Node: "old"})
			},
			want: []string{
				"dev-controlplane-1 running DMKAEV", "old ghost E", "old ghost E", "dev-worker-1 running DMKAV", "old unreachable V",
			},
		},
		{
			name: "an engine that does not answer",
			be: func(w *world) {
				w.EngineError = "connection refused"
				w.join(node{"mine", "10.5.0.9", "m", provision.Worker, 0})
				w.lose(node{letter: "m"})
				w.Interviews = nil
			},
			want: []string{"dev-controlplane-1 unreachable DK", "dev-worker-1 unreachable DK", "mine unreachable K"},
			why:  "connection refused",
		},
		{
			name: "a Kubernetes that does not answer makes no ghosts",
			be: func(w *world) {
				w.announce(picture.Affiliate{NodeID: id("x"), Nodename: "old", Role: provision.Worker, Addresses: []netip.Addr{ip("10.5.0.77")}})
				w.KubernetesError = "timed out"
			},
			want: []string{"dev-controlplane-1 running DMAEV", "dev-worker-1 running DMAV", "old unreachable A"},
			why:  "Kubernetes, which could tell",
		},
		{
			name: "a cluster that is not stored", be: func(w *world) { w.Desired = nil; w.turn(w1(), provision.MachineStopped) },
			want: []string{"dev-controlplane-1 running MKAEV", "dev-worker-1 stopped MKAV"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := cluster(cp1(), w1())
			test.be(w)
			got := picture.Join(w.Sources)
			if diff := cmp.Diff(test.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			odd := slices.IndexFunc(got.Nodes, func(n picture.Node) bool { return n.State != picture.Running })
			if test.why != "" && (odd < 0 || !strings.Contains(got.Nodes[odd].Why, test.why)) {
				t.Errorf("no %q in the reasons of %+v", test.why, got.Nodes)
			}
		})
	}
}

// rename moves an interview to the machine's new name.
func (w *world) rename(from, to string) {
	w.Interviews[to] = w.Interviews[from]
	delete(w.Interviews, from)
}

// silence takes a node's own answers away.
func (w *world) silence(name string) { delete(w.Interviews, name) }
