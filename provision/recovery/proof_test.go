package recovery

import (
	"strings"
	"testing"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// controlPlane is a desired one in that state.
func controlPlane(number int, state picture.State) picture.Node {
	name := provision.NodeName("dev", provision.ControlPlane, number)
	node := picture.Node{Name: name, Role: provision.ControlPlane, State: state, Desired: &provision.Node{Name: name}}
	if state != picture.Missing && state != picture.Ghost {
		node.Machine = &provision.Machine{ID: "id-" + name, Name: name}
	}
	return node
}

// keeping is the node with the volume that its etcd is on.
func keeping(node picture.Node) picture.Node {
	node.Volumes = []provision.Volume{{Node: node.Name, Path: boot.EphemeralPath}}
	return node
}

func TestTheQuorumIsProvenLostBeforeAnythingIsDone(t *testing.T) {
	const running, missing = picture.Running, picture.Missing
	orphaned := picture.Quorum{Members: 3, Alive: 1, Needed: 2}
	worker := picture.Node{Name: "dev-worker-1", Role: provision.Worker, State: picture.Paused}
	forgotten := controlPlane(3, picture.Unreachable)
	forgotten.Desired, forgotten.Machine = nil, nil

	for name, test := range map[string]struct {
		nodes    []picture.Node
		quorum   picture.Quorum
		silent   bool
		insisted bool
		// why and offer are of the first refusal; empty where the loss is proven.
		why, offer string
	}{
		"two of three are gone with their data": {
			nodes: []picture.Node{controlPlane(1, missing), controlPlane(2, running), controlPlane(3, missing)}, quorum: orphaned,
		},
		"the only one is gone with its data": {nodes: []picture.Node{controlPlane(1, missing), worker}},
		"all are gone with their data": {
			nodes: []picture.Node{controlPlane(1, missing), controlPlane(2, missing), controlPlane(3, missing)},
		},
		"one that is only in etcd's list is gone, though Kubernetes cannot say so": {
			nodes: []picture.Node{controlPlane(1, missing), controlPlane(2, running), forgotten}, quorum: orphaned,
		},
		"the engine is silent": {
			nodes: []picture.Node{controlPlane(1, picture.Unreachable)}, silent: true, why: "proves nothing", offer: "start the engine",
		},
		"there is a quorum": {
			nodes:  []picture.Node{controlPlane(1, missing), controlPlane(2, running), controlPlane(3, running)},
			quorum: picture.Quorum{Members: 3, Alive: 2, Needed: 2, Agreed: true, Leader: "dev-controlplane-2"},
			why:    "has its quorum", offer: "bronze cluster reconcile dev",
		},
		"enough run and do not agree": {
			nodes:  []picture.Node{controlPlane(1, missing), controlPlane(2, running), controlPlane(3, running)},
			quorum: picture.Quorum{Members: 3, Alive: 2, Needed: 2},
			why:    "enough control planes run", offer: "bronze logs etcd -n dev-controlplane-2",
		},
		"one is paused": {
			nodes:  []picture.Node{controlPlane(1, missing), controlPlane(2, picture.Paused), controlPlane(3, missing)},
			quorum: orphaned, why: "paused", offer: "bronze cluster resume dev",
		},
		"one is stopped": {
			nodes:  []picture.Node{controlPlane(1, missing), controlPlane(2, picture.Stopped), controlPlane(3, missing)},
			quorum: orphaned, insisted: true, why: "stopped", offer: "bronze cluster start dev",
		},
		"one does not answer": {
			nodes:  []picture.Node{controlPlane(1, missing), controlPlane(2, picture.Unreachable), controlPlane(3, missing)},
			quorum: orphaned, offer: "bronze explain dev-controlplane-2 --cluster dev",
		},
		"one was made by hand": {
			nodes:  []picture.Node{controlPlane(1, missing), controlPlane(2, picture.Foreign), controlPlane(3, missing)},
			quorum: orphaned, why: "other hands", offer: "bronze node add dev --adopt, or remove it by hand",
		},
		"the data of enough are kept": {
			nodes:  []picture.Node{keeping(controlPlane(1, missing)), controlPlane(2, running), controlPlane(3, missing)},
			quorum: orphaned, insisted: true, why: "the quorum comes back", offer: "bronze cluster reconcile dev --missing resurrect",
		},
		"the data of the only one are kept": {
			nodes: []picture.Node{keeping(controlPlane(1, missing))}, why: "the quorum comes back",
			offer: "bronze cluster reconcile dev --missing resurrect",
		},
		"the data of too few are kept": {
			nodes: []picture.Node{keeping(controlPlane(1, missing)), controlPlane(2, missing), controlPlane(3, missing)},
			why:   "may be newer", offer: "bronze cluster reconcile dev --missing resurrect, or give them up with --from FILE",
		},
		"they are given up": {
			nodes:    []picture.Node{keeping(controlPlane(1, missing)), controlPlane(2, missing), controlPlane(3, missing)},
			insisted: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := picture.Picture{Cluster: "dev", Nodes: test.nodes, Quorum: test.quorum}
			if test.silent {
				p.Silent = map[picture.Source]string{picture.Engine: "connection refused"}
			}
			found := prove(p, test.insisted)
			if wanted := test.why != "" || test.offer != ""; (len(found.refusals) > 0) != wanted {
				t.Fatalf("refusals %+v", found.refusals)
			}
			for _, refusal := range found.refusals[:min(1, len(found.refusals))] {
				if !strings.Contains(refusal.Why, test.why) || refusal.Offer != test.offer {
					t.Errorf("refused %q with the offer %q, want %q with %q", refusal.Why, refusal.Offer, test.why, test.offer)
				}
			}
		})
	}
}

// TestAQuorumThatCouldComeBackIsNeverGivenUp walks all states that three control planes can be in.
func TestAQuorumThatCouldComeBackIsNeverGivenUp(t *testing.T) {
	states := []picture.State{
		picture.Running, picture.Paused, picture.Stopped, picture.Restarting, picture.Unreachable, picture.Missing, picture.Foreign,
	}
	for _, first := range states {
		for _, second := range states {
			for _, third := range states {
				for kept := range 1 << 3 {
					nodes := []picture.Node{controlPlane(1, first), controlPlane(2, second), controlPlane(3, third)}
					left := 0
					for i := range nodes {
						if kept&(1<<i) != 0 {
							nodes[i] = keeping(nodes[i])
						}
						if nodes[i].State != picture.Missing || keepsEtcd(nodes[i]) {
							left++
						}
					}
					p := picture.Picture{Cluster: "dev", Nodes: nodes, Quorum: picture.Quorum{Members: 3, Needed: 2}}
					if found := prove(p, true); len(found.refusals) == 0 && left >= 2 {
						t.Fatalf("%s, %s, %s, volumes %b: it would be recovered", first, second, third, kept)
					}
				}
			}
		}
	}
}
