package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/provision"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"the middle of an odd number, whatever the order", []float64{9, 1, 5}, 5},
		{"between the two in the middle of an even number", []float64{4, 1, 2, 9}, 3},
		{"nothing of nothing", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := median(test.values); got != test.want {
				t.Errorf("median(%v) = %v, want %v", test.values, got, test.want)
			}
		})
	}
}

func TestSeriesKeepPhasesInTheOrderOfTheFirstRun(t *testing.T) {
	phase := func(name provision.Phase, at float64) provision.Timing { return provision.Timing{Phase: name, At: at} }

	got := map[string][]float64{}

	var order []string
	for _, row := range seriesOf([]cycle{
		{Create: 8, Seen: 8.1, Full: 9, Destroy: 2, Phases: []provision.Timing{phase("network", 1), phase("api", 4)}},
		{Create: 7, Seen: 7.1, Full: 8.5, Destroy: 3, Phases: []provision.Timing{phase("network", 2), phase("api", 5)}},
	}) {
		got[row.name] = row.values
		order = append(order, row.name)
	}

	if diff := cmp.Diff([]string{"create, as an own client sees it", "create, the process", "all replicas of CoreDNS", "  until network", "  until api", "destroy"}, order); diff != "" {
		t.Errorf("order of the rows (-want +got):\n%s", diff)
	}

	want := map[string][]float64{
		"create, as an own client sees it": {8.1, 7.1}, "create, the process": {8, 7}, "all replicas of CoreDNS": {9, 8.5},
		"  until network": {1, 2}, "  until api": {4, 5}, "destroy": {2, 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestJudgeWantsAllNodesAndCoreDNS(t *testing.T) {
	node := func(ready corev1.ConditionStatus) corev1.Node {
		return corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
	}
	dns := func(available corev1.ConditionStatus) appsv1.Deployment {
		return appsv1.Deployment{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: available},
		}}}
	}

	for _, test := range []struct {
		name  string
		nodes []corev1.Node
		dns   appsv1.Deployment
		up    bool
	}{
		{"all of it", []corev1.Node{node("True"), node("True")}, dns("True"), true},
		{"one node is not Ready", []corev1.Node{node("True"), node("False")}, dns("True"), false},
		{"one node is missing", []corev1.Node{node("True")}, dns("True"), false},
		{"CoreDNS is not Available", []corev1.Node{node("True"), node("True")}, dns("False"), false},
		{"CoreDNS has no conditions yet", []corev1.Node{node("True"), node("True")}, appsv1.Deployment{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := judge(test.nodes, test.dns, 2); (err == nil) != test.up {
				t.Errorf("judge answers %v, want up %t", err, test.up)
			}
		})
	}
}

func TestFieldWantsTheWholeName(t *testing.T) {
	const stat = "total_inactive_file 7\ninactive_file 42\n"

	got, ok := field(stat, "inactive_file")
	if !ok || got != 42 {
		t.Errorf("field = %d, %t, want 42", got, ok)
	}

	if _, ok := field(stat, "file"); ok {
		t.Error("field finds a name that is only part of one")
	}
}
