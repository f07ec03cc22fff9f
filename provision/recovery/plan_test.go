package recovery

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/backup"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

func devCluster(controlPlanes, workers int) provision.Cluster {
	cluster := provision.Cluster{Name: "dev", Balancer: &provision.Balancer{Name: "dev-loadbalancer"}}
	for i := range controlPlanes {
		cluster.Nodes = append(cluster.Nodes, provision.Node{Name: provision.NodeName("dev", provision.ControlPlane, i+1), Role: provision.ControlPlane})
	}
	for i := range workers {
		cluster.Nodes = append(cluster.Nodes, provision.Node{Name: provision.NodeName("dev", provision.Worker, i+1), Role: provision.Worker})
	}
	return cluster
}

func seenMachines(machines ...provision.Machine) provision.Observed {
	return provision.Observed{
		Machines:  machines,
		Balancers: []provision.Machine{{Name: "dev-loadbalancer", State: provision.MachineRunning}},
	}
}

func inWords(plan reconcile.Plan) []string {
	var words []string
	for i, step := range plan.Steps {
		words = append(words, fmt.Sprintf("%d %s %v", i, step, step.After))
	}
	return words
}

func TestAllOldDataGoBeforeEtcdIsFounded(t *testing.T) {
	survivor := provision.Machine{ID: "id-2", Name: "dev-controlplane-2", State: provision.MachineRunning}
	seen := seenMachines(survivor)
	m := newMark(devCluster(3, 1), seen, "/snapshot.db", time.Now())
	plan := refound(devCluster(3, 1), seen, m)
	want := []string{
		"0 wipe dev-controlplane-1 []", "1 wipe dev-controlplane-2 []", "2 wipe dev-controlplane-3 []",
		"3 create machine dev-controlplane-1 [0 1 2]", "4 recover etcd on dev-controlplane-1 [3]", "5 await etcd voter dev-controlplane-1 [4]",
		"6 create machine dev-controlplane-2 [5]", "7 await etcd voter dev-controlplane-2 [6]",
		"8 create machine dev-controlplane-3 [5]", "9 await etcd voter dev-controlplane-3 [8]",
	}
	if diff := cmp.Diff(want, inWords(plan)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if plan.Steps[1].MachineID != "id-2" || plan.Steps[4].Snapshot != "/snapshot.db" {
		t.Errorf("steps %+v", plan.Steps)
	}
}

func TestARecoveryThatDiedGoesOnWhereItWas(t *testing.T) {
	old := provision.Machine{ID: "id-2", Name: "dev-controlplane-2", State: provision.MachineRunning}
	fresh := provision.Machine{ID: "id-9", Name: "dev-controlplane-1", State: provision.MachineRunning}
	remade := provision.Machine{ID: "id-10", Name: "dev-controlplane-2", State: provision.MachineRunning}
	m := newMark(devCluster(3, 0), seenMachines(old), "/snapshot.db", time.Now())
	unbalanced := seenMachines()
	unbalanced.Balancers = nil
	for name, test := range map[string]struct {
		seen  provision.Observed
		wiped []string
	}{
		"before the first step":               {seenMachines(old), []string{"dev-controlplane-1", "dev-controlplane-2", "dev-controlplane-3"}},
		"with the machine gone, not its data": {seenMachines(), []string{"dev-controlplane-1", "dev-controlplane-2", "dev-controlplane-3"}},
		"with the founder made":               {seenMachines(fresh), []string{"dev-controlplane-2", "dev-controlplane-3"}},
		"with two made":                       {seenMachines(fresh, remade), []string{"dev-controlplane-3"}},
		"with the balancer gone":              {unbalanced, []string{"dev-controlplane-1", "dev-controlplane-2", "dev-controlplane-3", "dev-loadbalancer"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan := refound(devCluster(3, 0), test.seen, m)
			var before []string
			for _, step := range plan.Steps {
				if step.Action == reconcile.WipeMachine || step.Action == reconcile.CreateBalancer {
					before = append(before, step.Target)
				}
			}
			if diff := cmp.Diff(test.wiped, before); diff != "" {
				t.Errorf("before the founder (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyWhatIsNoMoreIsClearedAway(t *testing.T) {
	node := func(name string, role provision.Role, state picture.State, uid, affiliate string) picture.Node {
		n := picture.Node{Name: name, Role: role, State: state}
		if state == picture.Running {
			n.Machine = &provision.Machine{ID: "id-" + name, Name: name}
		}
		if uid != "" {
			n.Kubernetes = &picture.KubernetesNode{Name: name, UID: uid}
		}
		if affiliate != "" {
			n.Affiliate = &picture.Affiliate{NodeID: affiliate}
		}
		return n
	}
	seen := picture.Picture{Nodes: []picture.Node{
		node("dev-controlplane-1", provision.ControlPlane, picture.Running, "", "new"),
		node("dev-controlplane-1", provision.ControlPlane, picture.Ghost, "uid-1", "old"),
		node("dev-worker-1", provision.Worker, picture.Running, "uid-2", "w1"),
		node("dev-worker-2", provision.Worker, picture.Running, "", "w2"),
		node("dev-worker-3", provision.Worker, picture.Missing, "uid-4", "w3"),
		node("dev-worker-8", provision.Worker, picture.Ghost, "uid-3", ""),
		node("mine", provision.Worker, picture.Foreign, "uid-5", "m"),
	}}
	want := []string{
		"0 forget affiliate dev-controlplane-1 []", "1 delete Kubernetes node dev-worker-8 []",
		"2 await Ready dev-controlplane-1 []", "3 await Ready dev-worker-1 []",
		"4 restart machine dev-worker-2 []", "5 await Ready dev-worker-2 [4]",
		"6 take etcd snapshot dev [0 1 2 3 5]",
	}
	if diff := cmp.Diff(want, inWords(tidy(devCluster(1, 3), seen))); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestTheMostChangesAreChosenAndLossesTold(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	taken := func(path, node string, revision int64) backup.Snapshot {
		return backup.Snapshot{Path: path, Node: node, Taken: at.Add(-time.Hour), Contents: backup.Contents{Revision: revision}}
	}
	file, kept, lagging, leading := taken("file", "", 5), taken("kept", "a", 100), taken("lagging", "b", 90), taken("leading", "c", 120)
	for name, test := range map[string]struct {
		all  sources
		want string
		told string
	}{
		"a kept one alone":             {sources{stored: &kept}, "kept", "no member is left that could tell"},
		"a member that is behind":      {sources{stored: &kept, survivors: []backup.Snapshot{lagging}}, "kept", "whatever was written after that is lost"},
		"a member that is ahead":       {sources{stored: &kept, survivors: []backup.Snapshot{lagging, leading}}, "leading", "had not reached c"},
		"a member and nothing kept":    {sources{survivors: []backup.Snapshot{lagging}}, "lagging", "had not reached b"},
		"what the user names":          {sources{named: &file, stored: &kept, survivors: []backup.Snapshot{leading}}, "file", "115 newer revisions, which c still has, would be lost; --from-node c keeps them"},
		"a member that the user names": {sources{named: &lagging, survivors: []backup.Snapshot{lagging, leading}}, "lagging", "30 newer revisions, which c still has"},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := test.all.choose()
			if err != nil || chosen.Path != test.want {
				t.Fatalf("chose %q, %v", chosen.Path, err)
			}
			if told := strings.Join(test.all.losses(chosen, at), "\n"); !strings.Contains(told, test.told) || !strings.Contains(told, "1h0m0s ago") {
				t.Errorf("told:\n%s", told)
			}
		})
	}
	if _, err := (sources{}).choose(); !errors.Is(err, errNoSource) || len(provision.Hints(err)) == 0 {
		t.Errorf("nothing to choose from: %v", err)
	}
}
