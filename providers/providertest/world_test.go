package providertest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
	"github.com/bronze-os/bronze/provision/reconcile"
)

// town is a cluster in memory that was made and bootstrapped.
type town struct {
	*testing.T
	*providertest.Memory
	cluster    provision.Cluster
	nodes      reconcile.Nodes
	kubernetes reconcile.Kubernetes
}

func build(t *testing.T, controlPlanes, workers int) town {
	t.Helper()
	engine := providertest.NewMemory("image:v1")
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = "dev", "image:v1", "v1.37.2"
	request.ControlPlanes, request.Workers, request.Subnet = controlPlanes, workers, netip.MustParsePrefix("10.5.0.0/24")
	cluster, err := provision.Expand(request, provision.Site{Balanced: true, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	access := provision.Access{Cluster: cluster}
	nodes, err := providertest.Reconciling{Engine: engine}.Nodes(access)
	kubernetes, err2 := providertest.Reconciling{Engine: engine}.Kubernetes(access)
	b := town{T: t, Memory: engine, cluster: cluster, nodes: nodes, kubernetes: kubernetes}
	b.must(errors.Join(err, err2, engine.CreateNetwork(t.Context(), cluster), engine.CreateBalancer(t.Context(), cluster)))
	for _, node := range cluster.Nodes {
		b.must(engine.CreateNode(t.Context(), cluster, node, []byte(node.Name)))
	}
	b.must(nodes.Bootstrap(t.Context(), cluster.Founder()))
	b.settle()
	return b
}

func (b town) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// settle asks so often that every control plane gets its vote.
func (b town) settle() {
	for range 2 * len(b.cluster.Nodes) {
		_ = b.interview(0)
	}
}

func (b town) interview(node int) picture.Interview {
	return b.nodes.Interview(b.Context(), b.cluster.Nodes[node])
}

func (b town) listed() []picture.KubernetesNode {
	b.Helper()
	nodes, err := b.kubernetes.Nodes(b.Context())
	b.must(err)
	return nodes
}

// voters are the names of those that the node's etcd lists as such.
func (b town) voters(node int) []string {
	b.Helper()
	interview := b.interview(node)
	if interview.Etcd == nil {
		b.Fatalf("node %d has no etcd: %+v", node, interview)
	}
	var names []string
	for _, member := range interview.Etcd.Members {
		if !member.Learner {
			names = append(names, member.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (b town) name(node int) string {
	return b.cluster.Nodes[node].Name
}

func TestMemoryNodesAreTheSameInAllSources(t *testing.T) {
	b := build(t, 3, 2)
	listed := b.listed()
	if len(listed) != 5 {
		t.Fatalf("Kubernetes has %+v", listed)
	}
	for i, node := range b.cluster.Nodes {
		interview := b.interview(i)
		if len(interview.Affiliates) != 5 || len(interview.Members) != 5 {
			t.Errorf("%s knows %d affiliates and %d members", node.Name, len(interview.Affiliates), len(interview.Members))
		}
		at := slices.IndexFunc(listed, func(k picture.KubernetesNode) bool { return k.Name == node.Name })
		if at < 0 || listed[at].MachineID == "" || listed[at].MachineID != picture.MachineID(interview.NodeID) || listed[at].IP != node.IP {
			t.Errorf("%s with node ID %s is not in %+v", node.Name, interview.NodeID, listed)
		}
	}
	if diff := cmp.Diff([]string{b.name(0), b.name(1), b.name(2)}, b.voters(1)); diff != "" {
		t.Errorf("voters (-want +got):\n%s", diff)
	}
}

func TestMemoryRemembersANodeThatVanished(t *testing.T) {
	for name, test := range map[string]struct {
		volumes, same bool
	}{
		"its volumes stay": {false, true}, "its volumes are lost": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := build(t, 1, 1)
			before, id := b.listed()[1], b.interview(1).NodeID
			b.Vanish(b.name(1), test.volumes)
			if after := b.listed()[1]; after.UID != before.UID || !after.Ready {
				t.Errorf("Kubernetes has %+v", after)
			}
			if known := b.interview(0).Affiliates; len(known) != 2 {
				t.Errorf("discovery has %+v", known)
			}
			if interview := b.interview(1); interview.Error == "" {
				t.Errorf("it says %+v", interview)
			}
			b.must(b.CreateNode(t.Context(), b.cluster, b.cluster.Nodes[1], []byte("new")))
			if now := b.interview(1).NodeID; (now == id) != test.same {
				t.Errorf("node ID %s, then %s", id, now)
			}
			if now := b.listed()[1]; now.UID != before.UID || (now.MachineID == before.MachineID) != test.same {
				t.Errorf("Node %+v, then %+v", before, now)
			}
		})
	}
}

func TestMemoryMissesANodeAfterAWhile(t *testing.T) {
	b := build(t, 1, 1)
	b.Stop(b.name(1))
	b.Lapse(time.Minute)
	if listed := b.listed(); !listed[0].Ready || listed[1].Ready {
		t.Errorf("Kubernetes has %+v", listed)
	}
	b.Lapse(time.Hour)
	if known := b.interview(0).Affiliates; len(known) != 1 {
		t.Errorf("discovery has %+v", known)
	}
}

func TestMemoryNeedsAMajority(t *testing.T) {
	for name, test := range map[string]struct {
		controlPlanes int
		lost          []int
		serves        bool
	}{
		"three of three": {3, nil, true}, "two of three": {3, []int{1}, true}, "one of three": {3, []int{1, 2}, false},
		"three of five": {5, []int{1, 2}, true}, "two of five": {5, []int{1, 2, 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := build(t, test.controlPlanes, 1)
			for _, node := range test.lost {
				b.Vanish(b.name(node), true)
			}
			_, err := b.kubernetes.Nodes(t.Context())
			interview := b.interview(0)
			if (err == nil) != test.serves || (interview.Etcd.Leader != 0) != test.serves {
				t.Errorf("Kubernetes: %v, etcd: %+v", err, interview.Etcd)
			}
			if len(interview.Etcd.Members) != test.controlPlanes {
				t.Errorf("members %+v", interview.Etcd.Members)
			}
			err = b.nodes.RemoveMember(t.Context(), b.cluster.Founder(), interview.Etcd.Members[1].ID)
			if (err == nil) != test.serves {
				t.Errorf("RemoveMember = %v", err)
			}
		})
	}
}

func TestMemoryKeepsAPausedMembersVote(t *testing.T) {
	b := build(t, 3, 1)
	machine := b.machine(b.name(1))
	b.must(b.Turn(t.Context(), machine, provision.MachinePaused))
	b.Vanish(b.name(2), true)
	if _, err := b.kubernetes.Nodes(t.Context()); err == nil {
		t.Error("Kubernetes serves with one of three")
	}
	b.must(b.Turn(t.Context(), machine, provision.MachineRunning))
	if voters := b.voters(0); len(voters) != 3 {
		t.Errorf("voters %v", voters)
	}
}

func (b town) machine(name string) provision.Machine {
	b.Helper()
	observed, err := b.Observe(b.Context(), b.cluster.Name)
	b.must(err)
	at := slices.IndexFunc(observed.Machines, func(m provision.Machine) bool { return m.Name == name })
	return observed.Machines[at]
}

func TestMemoryReplacesAControlPlaneByALearnerThatBecomesAVoter(t *testing.T) {
	b := build(t, 3, 1)
	answer := b.interview(2).Etcd
	b.Vanish(b.name(2), true)
	b.must(b.nodes.RemoveMember(t.Context(), b.cluster.Founder(), answer.Self))
	b.must(b.nodes.RemoveMember(t.Context(), b.cluster.Founder(), answer.Self))
	if voters := b.voters(0); len(voters) != 2 {
		t.Errorf("voters %v", voters)
	}
	b.must(b.CreateNode(t.Context(), b.cluster, b.cluster.Nodes[2], nil))
	members := b.interview(0).Etcd.Members
	if len(members) != 3 || !slices.ContainsFunc(members, func(m picture.EtcdMember) bool { return m.Learner }) {
		t.Errorf("members %+v", members)
	}
	b.settle()
	if voters := b.voters(0); len(voters) != 3 {
		t.Errorf("voters %v", voters)
	}
}

func TestMemoryLetsAControlPlaneLeave(t *testing.T) {
	b := build(t, 3, 1)
	leaver := b.cluster.Nodes[1]
	for range 2 {
		b.must(b.nodes.LeaveEtcd(t.Context(), leaver))
	}
	b.settle()
	if voters := b.voters(0); len(voters) != 2 {
		t.Errorf("voters %v", voters)
	}
	if interview := b.interview(1); interview.Etcd != nil || interview.EtcdError == "" {
		t.Errorf("it says %+v", interview)
	}
	if err := b.nodes.LeaveEtcd(t.Context(), b.cluster.Nodes[3]); err == nil {
		t.Error("a worker left etcd")
	}
}

func TestMemoryForgetsByIdentity(t *testing.T) {
	b := build(t, 3, 1)
	id, uid := b.interview(3).NodeID, b.listed()[3].UID
	b.Vanish(b.name(3), true)
	b.must(b.kubernetes.OutOfService(t.Context(), b.name(3), "other"))
	b.must(b.kubernetes.DeleteNode(t.Context(), b.name(3), "other"))
	if left := b.listed(); len(left) != 4 || left[3].OutOfService {
		t.Errorf("Kubernetes has %+v", left)
	}
	b.must(b.kubernetes.OutOfService(t.Context(), b.name(3), uid))
	if left := b.listed(); !left[3].OutOfService {
		t.Errorf("Kubernetes has %+v", left)
	}
	before := b.Effects()
	for range 2 {
		b.must(b.kubernetes.DeleteNode(t.Context(), b.name(3), uid))
		b.must(b.nodes.ForgetAffiliate(t.Context(), b.cluster.Nodes[1], id))
	}
	if effects := b.Effects() - before; effects != 2 {
		t.Errorf("%d effects, want one of each", effects)
	}
	if left, known := b.listed(), b.interview(0).Affiliates; len(left) != 3 || len(known) != 3 {
		t.Errorf("Kubernetes has %+v, discovery has %+v", left, known)
	}
}

func TestMemoryRegistersANodeOncePerStart(t *testing.T) {
	b := build(t, 1, 1)
	b.must(b.kubernetes.DeleteNode(t.Context(), b.name(1), b.listed()[1].UID))
	if left := b.listed(); len(left) != 1 {
		t.Errorf("Kubernetes has %+v", left)
	}
	machine := b.machine(b.name(1))
	b.must(b.Turn(t.Context(), machine, provision.MachineStopped))
	b.must(b.Turn(t.Context(), machine, provision.MachineRunning))
	if left := b.listed(); len(left) != 2 {
		t.Errorf("Kubernetes has %+v", left)
	}
}

func TestMemoryIsSilentWithoutItsNodes(t *testing.T) {
	b := build(t, 1, 1)
	ended := make(chan error, 1)
	heard := make(chan struct{}, 100)
	go func() { ended <- b.Watch(t.Context(), "dev", func() { heard <- struct{}{} }) }()
	<-heard
	machine := b.machine(b.name(1))
	b.Silence(true)
	if err := <-ended; err == nil {
		t.Error("it is still watched")
	}
	if _, err := b.Observe(t.Context(), "dev"); err == nil {
		t.Error("it is observed")
	}
	if _, found, err := b.Machine(t.Context(), machine.ID); found || err == nil {
		t.Errorf("found %t, %v", found, err)
	}
	if len(b.listed()) != 2 {
		t.Error("the nodes are gone")
	}
	b.Silence(false)
	if _, found, err := b.Machine(t.Context(), machine.ID); !found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
}

func TestMemoryRunsANodeByHand(t *testing.T) {
	b := build(t, 1, 1)
	b.RunByHand("dev", "mine", provision.Worker, []byte("by hand"))
	machine := b.machine("mine")
	node, config, err := b.Inspect(t.Context(), machine)
	if err != nil || node.IP != machine.IP || !b.cluster.Network.Subnet.Contains(node.IP) || string(config) != "by hand" {
		t.Errorf("made as %+v with %q, %v", node, config, err)
	}
	if listed := b.listed(); len(listed) != 3 || listed[2].Name != "mine" {
		t.Errorf("Kubernetes has %+v", listed)
	}
	b.Reconfigure("mine", []byte("live"))
	if live, err := b.nodes.MachineConfig(t.Context(), node); err != nil || string(live) != "live" {
		t.Errorf("machine config %q, %v", live, err)
	}
	before, err := b.Observe(t.Context(), "dev")
	b.must(err)
	if volumes := slices.ContainsFunc(before.Volumes, func(v provision.Volume) bool { return v.Node == "mine" }); volumes {
		t.Error("its volumes bear labels")
	}
	b.Rename("mine", "yours")
	if listed := b.listed(); len(listed) != 3 || listed[2].Name != "mine" {
		t.Errorf("renamed, Kubernetes has %+v", listed)
	}
}

func TestMemorySnapshotsBearTheirChecksum(t *testing.T) {
	b := build(t, 1, 0)
	var snapshot bytes.Buffer
	b.must(b.nodes.Snapshot(t.Context(), b.cluster.Founder(), &snapshot))
	data := snapshot.Bytes()
	if len(data)%512 != sha256.Size {
		t.Fatalf("%d bytes", len(data))
	}
	pages, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if want := sha256.Sum256(pages); !bytes.Equal(want[:], sum) {
		t.Error("the checksum is wrong")
	}
}

func TestMemoryIsReachedThroughItsBalancerOnly(t *testing.T) {
	b := build(t, 1, 1)
	b.Stop(b.cluster.Balancer.Name)
	if _, err := b.kubernetes.Nodes(t.Context()); err == nil {
		t.Error("Kubernetes answers")
	}
	if interview := b.interview(0); interview.Error == "" {
		t.Error("the node answers")
	}
}
