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
		observed.Volumes = append(observed.Volumes, Volume{Name: name + "-var", Cluster: "dev", Node: name, Path: "/var"})
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

// balanced is a cluster of three control planes behind a balancer.
func balanced(t *testing.T) Cluster {
	t.Helper()
	cluster, err := Expand(asked(func(r *Request) { r.ControlPlanes = 3 }), Site{Balanced: true})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestPlanTowardsControlPlanesBehindABalancer(t *testing.T) {
	const cp2, cp3, lb = "dev-controlplane-2", "dev-controlplane-3", "dev-loadbalancer"
	whole := seen(cp1, cp2, cp3, w1)
	whole.Bootstrapped = true
	whole.Balancers = []Machine{{Name: lb, Cluster: "dev", State: MachineRunning}}
	dead := whole
	dead.Balancers = []Machine{{Name: lb, Cluster: "dev", State: MachineStopped}}
	founderLost := seen(cp2, cp3, w1)
	founderLost.Balancers = whole.Balancers
	for name, test := range map[string]struct {
		observed Observed
		want     []Step
	}{
		"makes the founder, the balancer, then the others, and bootstraps the founder alone": {Observed{}, []Step{
			{CreateNetwork, "dev", nil}, {CreateNode, cp1, []int{0}}, {CreateBalancer, lb, []int{1}},
			{CreateNode, cp2, []int{2}}, {CreateNode, cp3, []int{2}}, {CreateNode, w1, []int{2}}, {Bootstrap, cp1, []int{2}},
		}},
		"makes anew a balancer that has stopped":                    {dead, []Step{{CreateBalancer, lb, nil}}},
		"lets a founder that lost its volumes join those that live": {founderLost, []Step{{CreateNode, cp1, nil}}},
		"leaves a whole cluster alone":                              {whole, nil},
	} {
		t.Run(name, func(t *testing.T) {
			desired := balanced(t)
			if diff := cmp.Diff(test.want, Plan(&desired, test.observed)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanTowardsNothing(t *testing.T) {
	balancer := Observed{
		Balancers: []Machine{{Name: "dev-loadbalancer", Cluster: "dev"}},
		Networks:  seen().Networks,
	}
	kept := Observed{Volumes: []Volume{{Name: "v", Cluster: "dev", Node: "dev-loadbalancer"}}}
	orphan := Observed{Volumes: []Volume{{Name: "v", Cluster: "dev", Node: w1}}}
	for name, test := range map[string]struct {
		observed Observed
		want     []Step
	}{
		"does nothing where nothing is": {Observed{}, nil},
		"removes nodes side by side, then the network": {seen(cp1, w1), []Step{
			{RemoveNode, cp1, nil}, {RemoveNode, w1, nil}, {RemoveNetwork, "dev", []int{0, 1}},
		}},
		"removes a balancer": {balancer, []Step{
			{RemoveBalancer, "dev-loadbalancer", nil}, {RemoveNetwork, "dev", []int{0}},
		}},
		"removes what a balancer kept":         {kept, []Step{{RemoveBalancer, "dev-loadbalancer", nil}}},
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
