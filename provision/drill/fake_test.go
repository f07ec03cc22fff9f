package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// fakeNode is one node of a cluster in memory.
type fakeNode struct {
	name  string
	role  provision.Role
	state picture.State
	// life counts machines, identity counts nodes: a replaced one has another of both, a resurrected one another life.
	life, identity int
	// back is when the killed process runs again.
	back time.Time
	kill int
}

// fakeCluster is a cluster in memory that does all that drills ask for. Its faults are what a drill must find.
type fakeCluster struct {
	mu      sync.Mutex
	nodes   []*fakeNode
	made    int
	engine  error
	full    bool
	bounded bool
	ballast int
	keys    map[string]bool
	// pods has the node of each pod, data the identity of the node that it was stored on.
	pods    []string
	data    []int
	planted bool
	// leaderless is until when no write is taken after a leader was lost.
	leaderless time.Time

	faults faults
}

type faults struct {
	// losesWrites forgets a write that it acknowledged, touchesAll has reconcile remove what does not answer,
	// failover is how long no leader is elected, leaves keeps an affiliate of who is gone, weak replaces nobody,
	// staysDown keeps a restarted engine's machines from coming back.
	losesWrites, touchesAll, leaves, weak, staysDown bool
	failover                                         time.Duration
}

func newFake(controlPlanes, workers int) *fakeCluster {
	f := &fakeCluster{keys: map[string]bool{}, faults: faults{failover: time.Second}}
	for range controlPlanes {
		f.make(provision.ControlPlane)
	}
	for range workers {
		f.make(provision.Worker)
	}
	return f
}

func (f *fakeCluster) make(role provision.Role) {
	f.made++
	f.nodes = append(f.nodes, &fakeNode{
		name: fmt.Sprintf("t-%s-%d", role, f.made), role: role, state: picture.Running, life: f.made, identity: f.made,
	})
}

func (f *fakeCluster) site() Site {
	return Site{Cluster: "t", Eye: f, Hand: f, Healer: f, Guest: f, Canary: f, RestartEngine: f.restartEngine}
}

// Look takes a moment, as asking does.
func (f *fakeCluster) Look(ctx context.Context) (picture.Picture, error) {
	if err := wait(ctx, 50*time.Millisecond); err != nil {
		return picture.Picture{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := picture.Picture{Cluster: "t", Silent: map[picture.Source]string{}}
	if f.engine != nil {
		p.Silent[picture.Engine] = f.engine.Error()
	}
	for _, n := range f.nodes {
		p.Nodes = append(p.Nodes, f.seen(n))
		if n.role == provision.ControlPlane {
			p.Quorum.Members++
		}
	}
	p.Quorum.Alive, p.Quorum.Leader = f.alive()
	p.Quorum.Needed = p.Quorum.Members/2 + 1
	p.Quorum.Agreed = p.Quorum.Leader != ""
	return p, nil
}

func (f *fakeCluster) seen(n *fakeNode) picture.Node {
	node := picture.Node{
		Name: n.name, Role: n.role, State: n.state, Desired: &provision.Node{Name: n.name, Role: n.role},
		Kubernetes: &picture.KubernetesNode{Name: n.name, UID: fmt.Sprint("uid-", n.identity), Ready: true},
		Affiliate:  &picture.Affiliate{NodeID: fmt.Sprint("node-", n.identity)},
		Answer:     &picture.Answer{},
	}
	if f.engine != nil {
		node.State = picture.Unreachable
	}
	if n.state != picture.Missing {
		node.Machine = &provision.Machine{ID: fmt.Sprint("machine-", n.life), Name: n.name, State: provision.MachineRunning}
	}
	if n.role == provision.ControlPlane {
		node.Etcd = &picture.EtcdMember{ID: uint64(n.identity)}
		if f.full {
			node.Answer.Alarms = []string{"NOSPACE"}
		}
	}
	return node
}

// alive are the voters that answer, and the name of the first of them where they have a quorum.
func (f *fakeCluster) alive() (alive int, leader string) {
	members := 0
	for _, n := range f.nodes {
		if n.role != provision.ControlPlane {
			continue
		}
		members++
		if n.state == picture.Running && f.engine == nil {
			if alive++; leader == "" {
				leader = n.name
			}
		}
	}
	if alive <= members/2 || time.Now().Before(f.leaderless) {
		leader = ""
	}
	return alive, leader
}

func wait(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// of is the node that has the machine; nil where none has.
func (f *fakeCluster) of(machine provision.Machine) *fakeNode {
	for _, n := range f.nodes {
		if n.name == machine.Name && machine.ID == fmt.Sprint("machine-", n.life) {
			return n
		}
	}
	return nil
}

// turn changes a machine's state; a leader that goes leaves the others without one for a while.
func (f *fakeCluster) turn(machine provision.Machine, to picture.State) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.of(machine)
	if n == nil {
		return fmt.Errorf("cannot find machine %q", machine.Name)
	}
	if _, leader := f.alive(); leader == n.name && to != picture.Running {
		f.leaderless = time.Now().Add(f.faults.failover)
	}
	n.state = to
	return nil
}

func (f *fakeCluster) Vanish(_ context.Context, machine provision.Machine, withVolumes bool) error {
	if withVolumes {
		f.spoil(machine.Name)
	}
	return f.turn(machine, picture.Missing)
}

// spoil takes the data of the pods on a node.
func (f *fakeCluster) spoil(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, pod := range f.pods {
		if pod == node {
			f.data[i] = 0
		}
	}
}

func (f *fakeCluster) Turn(_ context.Context, machine provision.Machine, to provision.MachineState) error {
	if to == provision.MachinePaused {
		return f.turn(machine, picture.Paused)
	}
	return f.turn(machine, picture.Running)
}

func (f *fakeCluster) Partition(_ context.Context, machine provision.Machine, apart bool) error {
	if apart {
		return f.turn(machine, picture.Unreachable)
	}
	return f.turn(machine, picture.Running)
}

func (f *fakeCluster) Kill(_ context.Context, machine provision.Machine, service string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.of(machine)
	if n == nil {
		return fmt.Errorf("cannot find machine %q", machine.Name)
	}
	if service == "etcd" {
		f.leaderless = time.Now().Add(f.faults.failover)
	}
	n.kill++
	n.back = time.Now().Add(time.Second)
	return nil
}

func (f *fakeCluster) Observe(context.Context, string) (provision.Observed, error) {
	return provision.Observed{}, nil
}

func (f *fakeCluster) Incarnation(_ context.Context, node provision.Node, _ string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		if n.name == node.Name && time.Now().After(n.back) {
			return fmt.Sprint("process-", n.kill), nil
		}
	}
	return "", nil
}

func (f *fakeCluster) restartEngine(ctx context.Context) error {
	f.mu.Lock()
	f.engine = errors.New("the engine does not answer")
	f.mu.Unlock()
	err := wait(ctx, 3*time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.engine = nil
	if f.faults.staysDown {
		for _, n := range f.nodes {
			n.state = picture.Stopped
		}
	}
	return err
}

// stepsOfOne is how many steps a reconcile has for one missing node.
const stepsOfOne = 4

func (f *fakeCluster) Reconcile(ctx context.Context, policy Cure) (int, error) {
	if err := wait(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	steps := 0
	for _, n := range slices.Clone(f.nodes) {
		if n.state != picture.Missing && (!f.faults.touchesAll || n.state == picture.Running) {
			continue
		}
		steps += stepsOfOne
		f.heal(n, policy)
	}
	return steps, nil
}

func (f *fakeCluster) heal(n *fakeNode, policy Cure) {
	if policy == Resurrect {
		f.made++
		n.state, n.life = picture.Running, f.made
		return
	}
	if f.faults.leaves {
		n.state, n.life = picture.Running, 0
		return
	}
	f.nodes = slices.DeleteFunc(f.nodes, func(other *fakeNode) bool { return other == n })
	if !f.faults.weak {
		f.make(n.role)
	}
	slices.SortStableFunc(f.nodes, func(a, b *fakeNode) int {
		return map[provision.Role]int{provision.ControlPlane: 0, provision.Worker: 1}[a.role] -
			map[provision.Role]int{provision.ControlPlane: 0, provision.Worker: 1}[b.role]
	})
}

func (f *fakeCluster) ReconcileDying(ctx context.Context, policy Cure, n int) (bool, error) {
	if n <= stepsOfOne {
		return false, nil
	}
	_, err := f.Reconcile(ctx, policy)
	return true, err
}

func (f *fakeCluster) Start(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		n.state = picture.Running
	}
	return nil
}

func (f *fakeCluster) Add(ctx context.Context, workers int) error {
	if err := wait(ctx, time.Second); err != nil {
		return err
	}
	f.mu.Lock()
	for range workers {
		f.make(provision.Worker)
	}
	f.mu.Unlock()
	return wait(ctx, time.Second)
}

func (f *fakeCluster) Remove(_ context.Context, names []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = slices.DeleteFunc(f.nodes, func(n *fakeNode) bool { return slices.Contains(names, n.name) })
	return nil
}

const fakeRoom = 20 * ballastBytes

func (f *fakeCluster) Bound(context.Context, int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bounded = true
	return nil
}

func (f *fakeCluster) Unbound(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bounded = false
	return nil
}

func (f *fakeCluster) Compact(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ballast > fakeRoom {
		return errors.New("there is nothing to compact")
	}
	f.full = false
	return nil
}

func (f *fakeCluster) Plant(_ context.Context, nodes []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.planted, f.pods, f.data = true, slices.Clone(nodes), make([]int, len(nodes))
	for i := range nodes {
		f.data[i] = f.identityOf(nodes[i])
	}
	return nil
}

func (f *fakeCluster) identityOf(name string) int {
	for _, n := range f.nodes {
		if n.name == name && n.state == picture.Running {
			return n.identity
		}
	}
	return -1
}

func (f *fakeCluster) Sing(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, node := range f.pods {
		if f.data[i] != f.identityOf(node) {
			return fmt.Sprintf("the pod on %s does not serve its data", node), nil
		}
	}
	return "", nil
}

func (f *fakeCluster) Stranded(_ context.Context, nodes []string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var stranded []string
	for _, pod := range f.pods {
		if slices.Contains(nodes, pod) && f.identityOf(pod) > 0 {
			stranded = append(stranded, pod)
		}
	}
	return stranded, nil
}

func (f *fakeCluster) Replant(_ context.Context, lost, nodes []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, pod := range f.pods {
		if !slices.Contains(lost, pod) {
			continue
		}
		for _, node := range nodes {
			if !slices.Contains(f.pods, node) {
				f.pods[i], f.data[i] = node, f.identityOf(node)
			}
		}
	}
	return nil
}

func (f *fakeCluster) Write(_ context.Context, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, leader := f.alive(); leader == "" {
		return errors.New("etcdserver: no leader")
	}
	if f.full {
		return errors.New("etcdserver: mvcc: database space exceeded")
	}
	if !f.faults.losesWrites || len(f.keys) != 60 {
		f.keys[key] = true
	} else {
		f.keys["another"] = true
	}
	return nil
}

func (f *fakeCluster) Written(context.Context) (map[string]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys, nil
}

func (f *fakeCluster) Fill(ctx context.Context, bytes int) error {
	f.mu.Lock()
	f.ballast += bytes
	f.full = f.bounded && f.ballast > fakeRoom
	f.mu.Unlock()
	return f.Write(ctx, "ballast")
}

func (f *fakeCluster) Empty(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ballast = 0
	return nil
}

func (f *fakeCluster) Uproot(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.planted, f.keys = false, map[string]bool{}
	return nil
}

func (f *fakeCluster) Close() error { return nil }
