package provision

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/boot"
)

// now is the time of all scenes.
func sceneTime() time.Time {
	return time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
}

func sceneMachine(name string, role Role, state MachineState, age time.Duration) Machine {
	return Machine{ID: "id-" + name, Name: name, Cluster: "dev", Role: role, State: state, Created: sceneTime().Add(-age)}
}

func sceneVolume(node, path string, age time.Duration) Volume {
	return Volume{Name: node + path, Cluster: "dev", Node: node, Path: path, Created: sceneTime().Add(-age)}
}

func TestLitterIsWhatNobodyNeeds(t *testing.T) {
	old := time.Hour
	network := ObservedNetwork{ID: "id-net", Network: Network{Name: "dev"}, Cluster: "dev", Created: sceneTime().Add(-old)}
	first := sceneMachine("dev-controlplane-1", ControlPlane, MachineRunning, old)
	volume := sceneVolume("dev-controlplane-1", boot.EphemeralPath, old)
	with := func(m Machine, state MachineState) Machine {
		m.State = state
		return m
	}
	whole := Observed{Machines: []Machine{with(first, MachineStopped)}, Volumes: []Volume{volume}, Networks: []ObservedNetwork{network}}
	rest := Observed{Volumes: []Volume{volume}, Networks: []ObservedNetwork{network}}
	desired := &Cluster{Name: "dev", Nodes: []Node{{Name: "dev-controlplane-1", Role: ControlPlane}}}
	orphan := sceneVolume("dev-worker-9", boot.StatePath, old)
	unstarted := Observed{Machines: []Machine{with(first, MachineCreated)}, Networks: whole.Networks}
	balancer := Observed{Balancers: []Machine{sceneMachine("dev-balancer", RoleBalancer, MachineRunning, old)}, Networks: whole.Networks}

	for name, test := range map[string]struct {
		scene scene
		want  Observed
	}{
		"nothing":                               {scene{}, Observed{}},
		"volumes and a network":                 {scene{seen: rest}, rest},
		"those of a stored cluster":             {scene{seen: rest, desired: desired}, Observed{}},
		"those of one that is stored elsewhere": {scene{seen: rest, elsewhere: true}, Observed{}},
		"those of one that is worked on":        {scene{seen: rest, held: true}, Observed{}},
		"one of them is a moment old": {scene{seen: Observed{
			Volumes: []Volume{volume, sceneVolume("dev-worker-1", boot.StatePath, time.Second)}, Networks: rest.Networks,
		}}, Observed{}},
		"a stopped cluster that is not stored here": {scene{seen: whole}, Observed{}},
		"a running one":                       {scene{seen: Observed{Machines: []Machine{first}}}, Observed{}},
		"a paused machine without a network":  {scene{seen: Observed{Machines: []Machine{with(first, MachinePaused)}}}, Observed{}},
		"a stopped machine without a network": {scene{seen: Observed{Machines: whole.Machines}}, Observed{Machines: whole.Machines}},
		"a machine that never ran":            {scene{seen: unstarted}, unstarted},
		"the same of a stored cluster":        {scene{seen: unstarted, desired: desired}, Observed{}},
		"workers that are stopped": {
			scene{seen: Observed{Machines: []Machine{sceneMachine("dev-worker-1", Worker, MachineStopped, old)}, Networks: rest.Networks}},
			Observed{Machines: []Machine{sceneMachine("dev-worker-1", Worker, MachineStopped, old)}, Networks: rest.Networks},
		},
		"a worker that runs": {
			scene{seen: Observed{Machines: []Machine{sceneMachine("dev-worker-1", Worker, MachineRunning, old)}, Networks: rest.Networks}},
			Observed{},
		},
		"a balancer that runs for nobody": {scene{seen: balancer}, balancer},
		"volumes of a removed node of a stored cluster": {
			scene{seen: Observed{Machines: whole.Machines, Volumes: []Volume{volume, orphan}, Networks: whole.Networks}, desired: desired},
			Observed{Volumes: []Volume{orphan}},
		},
		"volumes of a node that was made by hand": {
			scene{seen: Observed{
				Machines: append(whole.Machines[:1:1], sceneMachine("dev-worker-9", Worker, MachineStopped, old)), Volumes: []Volume{orphan},
			}, desired: desired},
			Observed{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.scene.cluster, test.scene.now = "dev", sceneTime()
			part, why := test.scene.remnant()
			if diff := cmp.Diff(test.want.litter("dev", ""), part.litter("dev", "")); diff != "" {
				t.Errorf("litter (-want +got):\n%s", diff)
			}
			if !part.Empty() && why == "" {
				t.Error("it does not say why")
			}
		})
	}
}

// TestLitterIsNeverOfAClusterThatLives makes scenes at random and looks for what must not be in any of them.
func TestLitterIsNeverOfAClusterThatLives(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		s := randomScene(random)
		part, _ := s.remnant()
		for _, broken := range []struct {
			what string
			is   bool
		}{
			{"of a cluster with a node that runs", s.seen.anyAlive() && !part.Empty()},
			{"of a cluster that is worked on", s.held && !part.Empty()},
			{"of a cluster that is stored elsewhere", s.elsewhere && !part.Empty()},
			{"of a cluster that is a moment old", s.seen.young(s.now) && !part.Empty()},
			{"machines or the network of a stored cluster", s.desired != nil && (len(part.all()) > 0 || len(part.Networks) > 0)},
			{"volumes of a desired node", s.desired != nil && slices.ContainsFunc(part.Volumes, func(v Volume) bool {
				return slices.Contains(s.desired.machineNames(), v.Node)
			})},
			{"what is not there", len(part.litter("", "")) > len(s.seen.litter("", ""))},
		} {
			if broken.is {
				t.Fatalf("seed %d: litter %s:\nscene %+v\nlitter %+v", seed, broken.what, s, part)
			}
		}
	}
}

func randomScene(random *rand.Rand) scene {
	age := func() time.Duration { return time.Duration(random.IntN(600)) * time.Second }
	s := scene{cluster: "dev", now: sceneTime(), held: random.IntN(5) == 0, elsewhere: random.IntN(5) == 0}
	states := []MachineState{MachineCreated, MachineRunning, MachinePaused, MachineStopped, MachineRestarting}
	names := []string{"dev-controlplane-1", "dev-controlplane-2", "dev-worker-1", "dev-worker-2", "dev-balancer"}
	roles := []Role{ControlPlane, ControlPlane, Worker, Worker, RoleBalancer}
	if random.IntN(2) == 0 {
		s.desired = &Cluster{Name: "dev"}
	}
	for i, name := range names {
		if random.IntN(3) == 0 {
			machine := sceneMachine(name, roles[i], states[random.IntN(len(states))], age())
			if roles[i] == RoleBalancer {
				s.seen.Balancers = append(s.seen.Balancers, machine)
			} else {
				s.seen.Machines = append(s.seen.Machines, machine)
			}
		}
		if random.IntN(2) == 0 {
			s.seen.Volumes = append(s.seen.Volumes, sceneVolume(name, boot.StatePath, age()))
		}
		if s.desired != nil && roles[i] != RoleBalancer && random.IntN(2) == 0 {
			s.desired.Nodes = append(s.desired.Nodes, Node{Name: name, Role: roles[i]})
		}
	}
	if random.IntN(2) == 0 {
		s.seen.Networks = []ObservedNetwork{{ID: "id-net", Network: Network{Name: "dev"}, Cluster: "dev", Created: s.now.Add(-age())}}
	}
	return s
}
