package picture_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestFindGoesByNameAndByEveryIdentity(t *testing.T) {
	w := cluster(cp1(), w1())
	old := w1().affiliate()
	old.NodeID = id("x")
	w.announce(old)
	p := picture.Join(w.Sources)
	for _, test := range []struct {
		name, word string
		want       []string
		err        string
	}{
		{"a name", cp1().name, []string{"dev-controlplane-1 running DMKAEV"}, ""},
		{"a name that two have", w1().name, []string{"dev-worker-1 running DMKAV", "dev-worker-1 ghost A"}, ""},
		{"the engine's ID", "id-dev-controlplane-1", []string{"dev-controlplane-1 running DMKAEV"}, ""},
		{"a node ID", id("x"), []string{"dev-worker-1 ghost A"}, ""},
		{"a machine ID", picture.MachineID(id("d")), []string{"dev-worker-1 running DMKAV"}, ""},
		{"a UID", "uid-d", []string{"dev-worker-1 running DMKAV"}, ""},
		{"a member ID with zeros before it", "00000000000000a1", []string{"dev-controlplane-1 running DMKAEV"}, ""},
		{"a member ID", "a1", []string{"dev-controlplane-1 running DMKAEV"}, ""},
		{"a member ID in decimal", "161", []string{"dev-controlplane-1 running DMKAEV"}, ""},
		{"the beginning of an identity", id("x")[:6], []string{"dev-worker-1 ghost A"}, ""},
		{"too short a beginning", id("x")[:3], nil, "cannot find node"},
		{"the beginning of many", "id-dev", nil, "cannot tell which node \"id-dev\" is: dev-controlplane-1, dev-worker-1 begin so"},
		{"nobody", "nobody", nil, "cannot find node \"nobody\" in cluster \"dev\""},
		{"nothing", "", nil, "cannot find node \"\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := p.Find(test.word)
			if diff := cmp.Diff(test.want, lines(picture.Picture{Nodes: found})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err != nil) != (test.err != "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if err != nil && len(provision.Hints(err)) == 0 {
				t.Error("no hint")
			}
		})
	}
}

func TestDisagreementsAreWhatTheStateDoesNotLetExpect(t *testing.T) {
	for _, test := range []struct {
		name string
		be   func(w *world)
		of   string
		want []string
	}{
		{"a healthy node", func(*world) {}, cp1().name, nil},
		{"a node that is not Ready", func(w *world) { w.lose(w1()) }, w1().name, []string{"Kubernetes calls it not Ready"}},
		{
			"a node that is closed", func(w *world) { w.Kubernetes[1].Unschedulable, w.Kubernetes[1].OutOfService = true, true }, w1().name,
			[]string{"it takes no new pods", "it is tainted out of service, so that no pod stays on it"},
		},
		{"a node that Kubernetes lacks", func(w *world) { w.Kubernetes = w.Kubernetes[:1] }, w1().name, []string{"Kubernetes does not know it"}},
		{"a Kubernetes that is silent lacks nobody", func(w *world) { w.KubernetesError = "refused" }, w1().name, nil},
		{
			"a node that discovery lacks", func(w *world) { w.each(func(i *picture.Interview) { i.Affiliates = nil }) }, w1().name,
			[]string{"no node has heard of it by discovery"},
		},
		{
			"a node that one has not heard of",
			func(w *world) {
				deaf := w.Interviews[cp1().name]
				deaf.Affiliates = deaf.Affiliates[:1]
				w.Interviews[cp1().name] = deaf
			},
			w1().name, []string{"dev-controlplane-1 has not heard of it by discovery"},
		},
		{
			"a control plane whose etcd does not answer", func(w *world) { w.withoutEtcd(cp1()) }, cp1().name,
			[]string{"its etcd does not answer: connection refused"},
		},
		{
			"an etcd that learns", func(w *world) { w.answer(cp1(), func(e *picture.EtcdAnswer) { e.Members[0].Learner = true }) }, cp1().name,
			[]string{"its etcd learns, and does not vote yet"},
		},
		{
			"an etcd that lacks the node", func(w *world) { w.answer(cp1(), func(e *picture.EtcdAnswer) { e.Members = nil }) }, cp1().name,
			[]string{"etcd does not have it as a member"},
		},
		{
			"an alarm", func(w *world) { w.answer(cp1(), func(e *picture.EtcdAnswer) { e.Alarms = []string{"NOSPACE"} }) }, cp1().name,
			[]string{"its etcd raises the alarm NOSPACE"},
		},
		{
			"a machine of another address and role",
			func(w *world) {
				w.Engine.Machines[1].IP, w.Engine.Machines[1].Role = ip("10.5.0.99"), provision.ControlPlane
			},
			w1().name,
			[]string{
				"its machine has the address 10.5.0.99, and 10.5.0.5 is desired", "its machine is a controlplane, and a worker is desired",
			},
		},
		{"a paused node", func(w *world) { w.turn(w1(), provision.MachinePaused) }, w1().name, []string{"Kubernetes still calls it Ready"}},
		{"a stopped node that all have missed", func(w *world) { w.turn(w1(), provision.MachineStopped); w.lose(w1()) }, w1().name, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := cluster(cp1(), w1())
			test.be(w)
			found, err := picture.Join(w.Sources).Find(test.of)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, found[0].Disagreements); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
