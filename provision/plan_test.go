package provision

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func planned(t *testing.T) Cluster {
	t.Helper()
	cluster, err := Expand(asked(func(r *Request) { r.Workers = 2 }), Site{})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// seen is a running cluster of the given nodes.
func seen(names ...string) Observed {
	observed := Observed{Networks: []ObservedNetwork{{ID: "n", Network: Network{Name: "dev"}, Cluster: "dev"}}}
	for _, name := range names {
		observed.Machines = append(observed.Machines, Machine{Name: name, Cluster: "dev", State: MachineRunning})
		observed.Volumes = append(observed.Volumes, Volume{Name: name + "-var", Cluster: "dev", Node: name})
	}
	return observed
}

const (
	cp1 = "dev-controlplane-1"
	w1  = "dev-worker-1"
	w2  = "dev-worker-2"
)

func TestPlanTowardsACluster(t *testing.T) {
	stopped := seen(cp1, w1, w2)
	stopped.Machines[1].State = MachineStopped
	stopped.Bootstrapped = true
	whole := seen(cp1, w1, w2)
	whole.Bootstrapped = true
	byHand := seen(cp1, w1, w2, "dev-worker-9")
	byHand.Bootstrapped = true
	for name, test := range map[string]struct {
		observed Observed
		want     []Step
	}{
		"makes all from nothing, the founder first, the others side by side": {Observed{}, []Step{
			{CreateNetwork, "dev", nil}, {CreateNode, cp1, []int{0}}, {CreateNode, w1, []int{1}}, {CreateNode, w2, []int{1}},
			{Bootstrap, cp1, []int{1}},
		}},
		"makes the missing only": {seen(w1), []Step{
			{CreateNode, cp1, nil}, {CreateNode, w2, []int{0}}, {Bootstrap, cp1, []int{0}},
		}},
		"bootstraps a founder that runs":              {seen(cp1, w1, w2), []Step{{Bootstrap, cp1, nil}}},
		"makes anew what has stopped":                 {stopped, []Step{{CreateNode, w1, nil}}},
		"leaves a whole cluster alone":                {whole, nil},
		"leaves a node that was joined by hand alone": {byHand, nil},
	} {
		t.Run(name, func(t *testing.T) {
			desired := planned(t)
			if diff := cmp.Diff(test.want, Plan(&desired, test.observed)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanTowardsNothing(t *testing.T) {
	orphan := Observed{Volumes: []Volume{{Name: "v", Cluster: "dev", Node: w1}}}
	for name, test := range map[string]struct {
		observed Observed
		want     []Step
	}{
		"does nothing where nothing is": {Observed{}, nil},
		"removes nodes side by side, then the network": {seen(cp1, w1), []Step{
			{RemoveNode, cp1, nil}, {RemoveNode, w1, nil}, {RemoveNetwork, "dev", []int{0, 1}},
		}},
		"removes a lone network":               {seen(), []Step{{RemoveNetwork, "dev", nil}}},
		"removes volumes that lost their node": {orphan, []Step{{RemoveNode, w1, nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Plan(nil, test.observed)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStepsReadAsSentences(t *testing.T) {
	if got := (Step{Action: CreateNode, Target: w1}).String(); got != "create node dev-worker-1" {
		t.Errorf("got %q", got)
	}
}
