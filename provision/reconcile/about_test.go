package reconcile

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestAboutIsThePartOfAPlanThatConcernsANode(t *testing.T) {
	lost := picture.Node{
		Name: "dev-worker-1", Desired: &provision.Node{}, Kubernetes: &picture.KubernetesNode{Name: "dev-worker-1", UID: "old"},
	}
	ghost := picture.Node{Name: "dev-worker-1", Kubernetes: &picture.KubernetesNode{Name: "dev-worker-1", UID: "older"}}
	other := picture.Node{Name: "dev-worker-10"}
	all := picture.Picture{Nodes: []picture.Node{lost, ghost, other}}
	plan := Plan{
		Cluster: "dev",
		Steps: []Step{
			{Action: DeleteNode, Target: "dev-worker-10"},
			{Action: TakeSnapshot, Target: "dev", After: []int{0}},
			{Action: DeleteNode, Target: "dev-worker-1", UID: "old", After: []int{1}},
			{Action: DeleteNode, Target: "dev-worker-1", UID: "older", After: []int{0}},
			{Action: Desire, Target: "dev-worker-2", Node: &provision.Node{Replaces: "dev-worker-1"}, After: []int{0}},
			{Action: CreateMachine, Target: "dev-worker-2", After: []int{2, 4}},
		},
		Refusals: []Refusal{{Node: "dev-worker-1", Why: "mine"}, {Node: "dev-worker-10"}, {Node: "dev", Why: "all"}},
		Notes:    []string{"dev-worker-10 is paused", "dev-worker-1 is missing", "after removing dev-worker-1: 2 members", "etcd has 3 members"},
	}
	want := Plan{
		Cluster: "dev",
		Steps: []Step{
			{Action: TakeSnapshot, Target: "dev"},
			{Action: DeleteNode, Target: "dev-worker-1", UID: "old", After: []int{0}},
			{Action: Desire, Target: "dev-worker-2", Node: &provision.Node{Replaces: "dev-worker-1"}},
			{Action: CreateMachine, Target: "dev-worker-2", After: []int{1, 2}},
		},
		Refusals: []Refusal{{Node: "dev-worker-1", Why: "mine"}, {Node: "dev", Why: "all"}},
		Notes:    []string{"dev-worker-1 is missing", "after removing dev-worker-1: 2 members", "etcd has 3 members"},
	}
	options := []cmp.Option{cmp.AllowUnexported(Plan{}, Refusal{}), cmpopts.EquateComparable(netip.Addr{})}
	got := plan.About(lost, all)
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("of the missing one (-want +got):\n%s", diff)
	}
	want = Plan{
		Cluster: "dev", Steps: []Step{{Action: DeleteNode, Target: "dev-worker-1", UID: "older"}},
		Refusals: want.Refusals, Notes: want.Notes,
	}
	if diff := cmp.Diff(want, plan.About(ghost, all), options...); diff != "" {
		t.Errorf("of the ghost (-want +got):\n%s", diff)
	}
}
