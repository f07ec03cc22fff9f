package docker

import (
	"testing"

	"github.com/bronze-os/bronze/provision"
)

func TestOnlyNodesThatDoNotRunNeedInstances(t *testing.T) {
	cluster := provision.Cluster{Nodes: []provision.Node{
		{Name: "a", Role: provision.ControlPlane}, {Name: "b", Role: provision.ControlPlane}, {Name: "c", Role: provision.Worker},
	}}
	for name, test := range map[string]struct {
		running map[string]bool
		want    int
	}{
		"none runs":  {nil, 2*instancesOfControlPlane + instancesOfWorker},
		"one runs":   {map[string]bool{"b": true}, instancesOfControlPlane + instancesOfWorker},
		"all run":    {map[string]bool{"a": true, "b": true, "c": true}, 0},
		"one is off": {map[string]bool{"a": true, "b": false, "c": true}, instancesOfControlPlane},
	} {
		t.Run(name, func(t *testing.T) {
			if got := instancesFor(cluster, test.running); got != test.want {
				t.Errorf("%d instances, want %d", got, test.want)
			}
		})
	}
}

func TestInstancesAreCountedAndGivenBack(t *testing.T) {
	for range 2 {
		if left, err := instancesLeft(1); err != nil || left > 1 {
			t.Errorf("%d left, %v", left, err)
		}
	}
}
