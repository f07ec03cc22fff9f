package drill

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestGapsAreBetweenAcknowledgedWritesAndAtBothEnds(t *testing.T) {
	zero := time.Unix(1000, 0)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	for _, test := range []struct {
		name    string
		acks    []int
		want    []Gap
		longest time.Duration
	}{
		{"a steady stream has none", []int{1000, 1400, 1800}, nil, 400 * time.Millisecond},
		{"one in the midst", []int{1000, 1700}, []Gap{{1, 1.7}}, 700 * time.Millisecond},
		{"nothing at the beginning", []int{1600, 1900}, []Gap{{1, 1.6}}, 600 * time.Millisecond},
		{"nothing in the end", []int{1200}, []Gap{{1.2, 2}}, 800 * time.Millisecond},
		{"nothing at all", nil, []Gap{{1, 2}}, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLedger(at(1000))
			for _, ms := range test.acks {
				l.acknowledged("key", at(ms))
			}
			writes := l.writes(zero, at(2000))
			if diff := cmp.Diff(test.want, writes.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if got := l.longest(at(2000)); got != test.longest {
				t.Errorf("the longest is %s, want %s", got, test.longest)
			}
			if len(writes.PerTenth) != 10 || writes.Acknowledged != len(test.acks) {
				t.Errorf("%d acknowledged in %v", writes.Acknowledged, writes.PerTenth)
			}
		})
	}
}

func TestLostAreTheAcknowledgedThatAreNotFound(t *testing.T) {
	l := newLedger(time.Now())
	l.acknowledged("a", time.Now())
	l.acknowledged("b", time.Now())
	l.refusedWith(errors.New("no"))
	l.refusedWith(errors.New("no"))
	if diff := cmp.Diff([]string{"b"}, l.lost(map[string]bool{"a": true, "c": true})); diff != "" {
		t.Error(diff)
	}
	if writes := l.writes(time.Now(), time.Now()); writes.Refused != 2 || len(writes.Why) != 1 {
		t.Errorf("%d refusals, %v", writes.Refused, writes.Why)
	}
}

func TestLanesLastUntilTheNextPictureAndEqualStatesJoin(t *testing.T) {
	zero := time.Unix(1000, 0)
	shot := func(second int, states map[string]picture.State) sample {
		s := sample{at: zero.Add(time.Duration(second) * time.Second)}
		for _, name := range []string{"b-worker", "a-worker"} {
			if state, there := states[name]; there {
				s.picture.Nodes = append(s.picture.Nodes, picture.Node{
					Name: name, Role: provision.Worker, State: state, Kubernetes: &picture.KubernetesNode{Ready: true},
				})
			}
		}
		return s
	}
	unready := shot(5, map[string]picture.State{"b-worker": picture.Running})
	unready.picture.Nodes[0].Kubernetes = nil
	got := lanesOf([]sample{
		shot(1, map[string]picture.State{"a-worker": picture.Running, "b-worker": picture.Running}),
		shot(2, map[string]picture.State{"a-worker": picture.Running, "b-worker": picture.Paused}),
		{at: zero.Add(3 * time.Second), err: errors.New("not looked")},
		shot(4, map[string]picture.State{"a-worker": picture.Running}),
		unready,
	}, zero)
	want := []Lane{
		{Node: "a-worker", Role: "worker", Spans: []Span{{From: 1, To: 3, State: "running"}, {From: 4, To: 5, State: "running"}}},
		{Node: "b-worker", Role: "worker", Spans: []Span{
			{From: 1, To: 2, State: "running"}, {From: 2, To: 3, State: "paused"},
			{From: 5, To: 5, State: "not ready", Why: "it runs, and Kubernetes does not call it Ready"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestADrillThatDoesNotFitNamesTheClusterThatDoes(t *testing.T) {
	drills, err := Named([]string{"rm-worker", "kill-etcd"})
	if err != nil {
		t.Fatal(err)
	}
	err = CheckFit(drills, "dev", Shape{ControlPlanes: 1, Workers: 2, Balancer: true})
	if err == nil || !strings.Contains(err.Error(), "kill-etcd") || strings.Contains(err.Error(), "rm-worker") {
		t.Fatalf("error %v", err)
	}
	if hints := provision.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], "--controlplanes 3 --workers 1") {
		t.Errorf("hints %q", hints)
	}
	if err := CheckFit(drills, "dev", Shape{ControlPlanes: 3, Workers: 2, Balancer: true}); err != nil {
		t.Error(err)
	}
}

func TestNeeds(t *testing.T) {
	for _, test := range []struct {
		name  string
		needs Needs
		shape Shape
		fits  bool
	}{
		{"enough", Needs{ControlPlanes: 1, Workers: 2}, Shape{1, 2, true}, true},
		{"more", Needs{ControlPlanes: 1, Workers: 2}, Shape{3, 4, true}, true},
		{"too few workers", Needs{ControlPlanes: 1, Workers: 2}, Shape{1, 1, true}, false},
		{"too few control planes", Needs{ControlPlanes: 3}, Shape{1, 1, true}, false},
		{"exactly", Needs{ControlPlanes: 1, Exactly: true}, Shape{1, 1, true}, true},
		{"more than exactly", Needs{ControlPlanes: 1, Exactly: true}, Shape{3, 1, true}, false},
		{"no balancer", Needs{ControlPlanes: 3, Balancer: true}, Shape{3, 1, false}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if why := test.needs.Misfit(test.shape); (why == "") != test.fits {
				t.Errorf("Misfit = %q, want fitting %t", why, test.fits)
			}
		})
	}
}

func TestAnUnknownDrillIsAnErrorWithACure(t *testing.T) {
	if _, err := Named([]string{"rm-everything"}); err == nil || len(provision.Hints(err)) != 1 {
		t.Errorf("error %v", err)
	}
}

func TestGroupsShareAsFewClustersAsDo(t *testing.T) {
	groups := Groups(Catalog())
	if len(groups) != 2 || groups[0].Shape != (Shape{3, 2, true}) || groups[1].Shape != (Shape{1, 1, true}) {
		t.Fatalf("groups %+v", groups)
	}
	drills := 0
	for _, group := range groups {
		for _, drill := range group.Drills {
			drills++
			if why := drill.Needs.Misfit(group.Shape); why != "" {
				t.Errorf("%s %s", drill.Name, why)
			}
		}
	}
	if drills != len(Catalog()) {
		t.Errorf("%d of %d drills are in a group", drills, len(Catalog()))
	}
}

func TestTheCatalogSaysOfEachDrillWhatItIs(t *testing.T) {
	seen := map[string]bool{}
	for _, drill := range Catalog() {
		if seen[drill.Name] || drill.Name == "" || drill.Rehearses == "" || drill.Act == "" || drill.Whom == "" || drill.Cure == "" {
			t.Errorf("%+v", drill)
		}
		seen[drill.Name] = true
		if (drill.Act == Pause || drill.Act == Partition) != (drill.Hold > 0) {
			t.Errorf("%s holds for %s", drill.Name, drill.Hold)
		}
	}
}
