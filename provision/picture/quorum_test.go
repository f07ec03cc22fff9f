package picture_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestQuorumCountsThoseThatAnswerForThemselves(t *testing.T) {
	for _, test := range []struct {
		name string
		be   func(w *world)
		want picture.Quorum
	}{
		{
			"three members", func(*world) {},
			picture.Quorum{Members: 3, Alive: 3, Needed: 2, Agreed: true, Leader: cp1().name},
		},
		{
			"the leader is gone, and the others have another",
			func(w *world) { w.removeMachine(cp1()); w.lead(0xb2) },
			picture.Quorum{Members: 3, Alive: 2, Needed: 2, Agreed: true, Leader: cp2().name},
		},
		{
			"the leader is paused, and the others have not noticed",
			func(w *world) { w.turn(cp1(), provision.MachinePaused) },
			picture.Quorum{Members: 3, Alive: 2, Needed: 2, Agreed: true, Leader: cp1().name},
		},
		{
			"two are gone, and the last has no leader",
			func(w *world) { w.removeMachine(cp1()); w.removeMachine(cp2()); w.lead(0) },
			picture.Quorum{Members: 3, Alive: 1, Needed: 2},
		},
		{
			"a node that answers and whose etcd does not", func(w *world) { w.withoutEtcd(cp3()) },
			picture.Quorum{Members: 3, Alive: 2, Needed: 2, Agreed: true, Leader: cp1().name},
		},
		{
			"a node that has become another member than the list has under its name",
			func(w *world) { w.answer(cp3(), func(e *picture.EtcdAnswer) { e.Self = 0xdd }) },
			picture.Quorum{Members: 3, Alive: 2, Needed: 2, Agreed: true, Leader: cp1().name},
		},
		{
			"a learner", func(w *world) { w.enlist(picture.EtcdMember{ID: 4, Name: "new", IP: ip("10.5.0.9"), Learner: true}) },
			picture.Quorum{Members: 3, Alive: 3, Needed: 2, Learners: 1, Agreed: true, Leader: cp1().name},
		},
		{
			"a voter that has not started", func(w *world) { w.enlist(picture.EtcdMember{ID: 4, IP: ip("10.5.0.9")}) },
			picture.Quorum{Members: 4, Alive: 3, Needed: 3, Learners: 1, Agreed: true, Leader: cp1().name},
		},
		{
			"lists that differ",
			func(w *world) {
				w.answer(cp2(), func(e *picture.EtcdAnswer) { e.Members = append(e.Members, picture.EtcdMember{ID: 4, Name: "new"}) })
			},
			picture.Quorum{Members: 4, Alive: 3, Needed: 3, Leader: cp1().name},
		},
		{
			"leaders that differ", func(w *world) { w.answer(cp2(), func(e *picture.EtcdAnswer) { e.Leader = 0xb2 }) },
			picture.Quorum{Members: 3, Alive: 3, Needed: 2},
		},
		{
			"lists in another order",
			func(w *world) {
				w.answer(cp2(), func(e *picture.EtcdAnswer) { e.Members[0], e.Members[1] = e.Members[1], e.Members[0] })
			},
			picture.Quorum{Members: 3, Alive: 3, Needed: 2, Agreed: true, Leader: cp1().name},
		},
		{
			"nobody answers", func(w *world) { w.Interviews = nil },
			picture.Quorum{Needed: 1},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := cluster(cp1(), cp2(), cp3())
			test.be(w)
			if diff := cmp.Diff(test.want, picture.Join(w.Sources).Quorum); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// lead gives all members that leader.
func (w *world) lead(leader uint64) {
	for _, n := range []node{cp1(), cp2(), cp3()} {
		w.answer(n, func(e *picture.EtcdAnswer) { e.Leader = leader })
	}
}

// answer changes what a member says, where it answers.
func (w *world) answer(n node, change func(*picture.EtcdAnswer)) {
	interview, there := w.Interviews[n.name]
	if !there {
		return
	}
	etcd := *interview.Etcd
	etcd.Members = append([]picture.EtcdMember{}, etcd.Members...)
	change(&etcd)
	interview.Etcd = &etcd
	w.Interviews[n.name] = interview
}

func (w *world) withoutEtcd(n node) {
	interview := w.Interviews[n.name]
	interview.Etcd, interview.EtcdError = nil, "connection refused"
	w.Interviews[n.name] = interview
}

func TestSilentSourcesSayWhy(t *testing.T) {
	for _, test := range []struct {
		name string
		be   func(w *world)
		want map[picture.Source]string
	}{
		{"all answer", func(*world) {}, map[picture.Source]string{}},
		{"one node does not", func(w *world) { w.mute(w1()) }, map[picture.Source]string{}},
		{
			"no node does", func(w *world) { w.mute(cp1()); w.mute(w1()) },
			map[picture.Source]string{
				picture.Discovery: "dev-controlplane-1: timed out", picture.Etcd: "dev-controlplane-1: timed out",
			},
		},
		{
			"etcd does not", func(w *world) { w.withoutEtcd(cp1()) },
			map[picture.Source]string{picture.Etcd: "dev-controlplane-1: connection refused"},
		},
		{
			"none does",
			func(w *world) {
				w.Sources = picture.Sources{EngineError: "no socket", KubernetesError: "nobody to ask"}
			},
			map[picture.Source]string{
				picture.Desired: "the cluster is not in the state directory", picture.Engine: "no socket",
				picture.Kubernetes: "nobody to ask", picture.Discovery: "no node could be asked", picture.Etcd: "no node could be asked",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := cluster(cp1(), w1())
			test.be(w)
			if diff := cmp.Diff(test.want, picture.Join(w.Sources).Silent); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
