package reconcile

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestARemovalGoesInOrder(t *testing.T) {
	for _, test := range []struct {
		name   string
		size   [2]int
		change func(*hearsay)
		asked  Removal
		want   []string
	}{
		{
			name: "workers side by side, and forgotten in the end", size: [2]int{1, 3}, asked: Removal{Names: []string{"dev-worker-1", "dev-worker-2"}},
			want: []string{
				"drain worker-1", "remove machine worker-1 < drain worker-1", "delete Kubernetes node worker-1 < remove machine worker-1",
				"forget affiliate worker-1 < delete Kubernetes node worker-1", "verify worker-1 < forget affiliate worker-1",
				"drain worker-2", "remove machine worker-2 < drain worker-2", "delete Kubernetes node worker-2 < remove machine worker-2",
				"forget affiliate worker-2 < delete Kubernetes node worker-2", "verify worker-2 < forget affiliate worker-2",
				"forget worker-1 < verify worker-1, verify worker-2", "forget worker-2 < forget worker-1",
			},
		},
		{
			name: "the leader after its follower", size: [2]int{3, 0},
			asked: Removal{Names: []string{"dev-controlplane-1", "dev-controlplane-2"}, Force: true},
			want: []string{
				"leave etcd controlplane-2", "remove machine controlplane-2 < leave etcd controlplane-2",
				"release pods controlplane-2 < remove machine controlplane-2", "delete Kubernetes node controlplane-2 < release pods controlplane-2",
				"forget affiliate controlplane-2 < delete Kubernetes node controlplane-2", "verify controlplane-2 < forget affiliate controlplane-2",
				"leave etcd controlplane-1 < verify controlplane-2", "remove machine controlplane-1 < leave etcd controlplane-1",
				"release pods controlplane-1 < remove machine controlplane-1", "delete Kubernetes node controlplane-1 < release pods controlplane-1",
				"forget affiliate controlplane-1 < delete Kubernetes node controlplane-1", "verify controlplane-1 < forget affiliate controlplane-1",
				"forget controlplane-2 < verify controlplane-2, verify controlplane-1", "forget controlplane-1 < forget controlplane-2",
			},
		},
		{
			name: "a member that cannot leave is removed after a snapshot", size: [2]int{3, 0},
			change: func(h *hearsay) { h.turn("dev-controlplane-3", provision.MachineStopped) },
			asked:  Removal{Names: []string{"dev-controlplane-3"}},
			want: []string{
				"take etcd snapshot controlplane-3", "remove etcd member controlplane-3 < take etcd snapshot controlplane-3",
				"remove machine controlplane-3 < remove etcd member controlplane-3", "release pods controlplane-3 < remove machine controlplane-3",
				"delete Kubernetes node controlplane-3 < release pods controlplane-3",
				"forget affiliate controlplane-3 < delete Kubernetes node controlplane-3", "verify controlplane-3 < forget affiliate controlplane-3",
				"forget controlplane-3 < verify controlplane-3",
			},
		},
		{
			name: "what a removal that died has left", size: [2]int{1, 1}, asked: Removal{Names: []string{"dev-worker-1"}},
			change: func(h *hearsay) { h.kill("dev-worker-1") },
			want: []string{
				"remove volumes worker-1", "release pods worker-1 < remove volumes worker-1", "delete Kubernetes node worker-1 < release pods worker-1",
				"forget affiliate worker-1 < delete Kubernetes node worker-1", "verify worker-1 < forget affiliate worker-1", "forget worker-1 < verify worker-1",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := village(t, test.size[0], test.size[1])
			h := healthy(cluster)
			if test.change != nil {
				test.change(h)
			}
			plan, err := PlanRemove(cluster, h.picture(), test.asked, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, told(plan.Steps)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoRemovalBreaksQuorum holds for random clusters, some nodes of which do not live, and random removals, also by force.
func TestNoRemovalBreaksQuorum(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	planned := 0
	for range 1500 {
		cluster := village(t, 1+random.IntN(5), random.IntN(3))
		h := healthy(cluster)
		asked := Removal{Force: random.IntN(2) == 0}
		for _, node := range cluster.Nodes {
			if random.IntN(3) == 0 {
				asked.Names = append(asked.Names, node.Name)
			}
			if random.IntN(4) == 0 {
				disturb(h, node.Name, random.IntN(4))
			}
		}
		plan, err := PlanRemove(cluster, h.picture(), asked, nil)
		if err != nil {
			continue
		}
		planned++
		wantQuorumKept(t, h.picture(), plan)
		for _, step := range plan.Steps {
			if !slices.Contains(asked.Names, step.Target) {
				t.Fatalf("%s is not asked for: %v", step, asked.Names)
			}
		}
	}
	if planned < 100 {
		t.Errorf("only %d removals were planned", planned)
	}
}

func disturb(h *hearsay, name string, how int) {
	switch how {
	case 0:
		h.turn(name, provision.MachinePaused)
	case 1:
		h.turn(name, provision.MachineStopped)
	case 2:
		h.mute(name)
	default:
		h.kill(name)
	}
}

// wantQuorumKept does the plan's steps on etcd's members alone, and wants a majority of them to live all the time.
func wantQuorumKept(t *testing.T, p picture.Picture, plan Plan) {
	t.Helper()
	lives := map[uint64]bool{}
	for _, node := range p.Nodes {
		if node.Etcd != nil {
			lives[node.Etcd.ID] = node.Answer != nil && node.Answer.Member == node.Etcd.ID
		}
	}
	for _, step := range plan.Steps {
		_, member := lives[step.MemberID]
		switch {
		case step.Action == LeaveEtcd || step.Action == RemoveMember:
			delete(lives, step.MemberID)
		case step.Action == RemoveMachine && member && step.MemberID != 0:
			t.Fatalf("%s goes while it is a member of etcd:\n%v", step.Target, told(plan.Steps))
		default:
			continue
		}
		alive := 0
		for _, answers := range lives {
			if answers {
				alive++
			}
		}
		if alive < majority(len(lives)) {
			t.Fatalf("after %s %d of %d members live:\n%v", step, alive, len(lives), told(plan.Steps))
		}
	}
}
