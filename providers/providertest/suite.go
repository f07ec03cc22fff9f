package providertest

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// The kinds of objects of an engine, as the suite makes them by other hands.
const (
	KindContainer = "container"
	KindVolume    = "volume"
	KindNetwork   = "network"
)

// Subject is a provider to be tested, with the hands that do to its engine what Bronze does not.
type Subject struct {
	Provider provision.Provider
	// Prefix begins the name of every cluster that the suite makes.
	Prefix string
	// Image is one that the engine has and that runs until it is stopped. It says that it brings Kubernetes v1.37.2.
	Image string
	// Subnet is free, and at least a /24.
	Subnet netip.Prefix
	// Stop ends a machine.
	Stop func(name string)
	// Rename gives a machine another name, and Vanish removes one without a word.
	Rename func(t *testing.T, name, to string)
	Vanish func(t *testing.T, name string)
	// Backends are the addresses that the balancer of that name carries to.
	Backends func(t *testing.T, name string) []netip.Addr
	// AddForeign makes an object that bears no labels, HasForeign tells whether it is still there. It is removed when
	// the test ends.
	AddForeign func(t *testing.T, kind, name string)
	HasForeign func(kind, name string) bool
}

// bench is one test's cluster on the subject.
type bench struct {
	Subject
	cluster provision.Cluster
}

// Run tests that a provider does what provision.Provider says.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, bench){
		"creates what is desired and observes it":           testCreates,
		"creating again changes nothing":                    testCreatesAgain,
		"creates a stopped node anew on its volumes":        testRevives,
		"removes all that it observes, and again":           testRemoves,
		"observes the named cluster only, or all":           testObserves,
		"maps the API ports to loopback":                    testPorts,
		"makes a balancer of other backends while it runs":  testBackends,
		"makes a lost balancer anew":                        testLostBalancer,
		"stops, starts and pauses as it is told":            testTurns,
		"finds a machine by its ID as it observes it":       testFinds,
		"finds a machine by nothing but its ID":             testFindsByIDAlone,
		"takes no name for an ID":                           testNamesAreNoIDs,
		"tells what a machine was made with":                testInspects,
		"tells nothing of a machine that is gone":           testInspectsNothing,
		"tells of changes while it is watched":              testWatches,
		"tells of no other cluster's changes":               testWatchesItsClusterOnly,
		"lets a machine vanish, and its volumes if asked":   testVanishes,
		"refuses another's container":                       testForeignContainer,
		"refuses another's network":                         testForeignNetwork,
		"refuses another's volume before it begins":         testForeignVolume,
		"refuses a network of ours that has another subnet": testOtherSubnet,
		"refuses a subnet that another network has":         testTakenSubnet,
		"misses an image, and hints at the cure":            testMissingImage,
		"tells the Kubernetes version of an image":          testAppraises,
		"ends when it is cancelled":                         testCancelled,
		"goes on after a call that was cut short":           testCutShort,
	} {
		t.Run(name, func(t *testing.T) {
			subject := open(t)
			b := bench{Subject: subject, cluster: clusterFor(t, subject, subject.Prefix)}
			t.Cleanup(func() { b.wipe(t) })
			test(t, b)
		})
	}
}

// clusterFor is one control plane and one worker.
func clusterFor(t *testing.T, subject Subject, name string) provision.Cluster {
	t.Helper()
	request := provision.DefaultRequest()
	request.Name, request.Provider, request.Image = name, subject.Provider.Name(), subject.Image
	request.KubernetesVersion, request.Subnet = "v1.37.2", subject.Subnet
	_, balanced := subject.Provider.(provision.Balancing)
	cluster, err := provision.Expand(request, provision.Site{Balanced: balanced, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// create makes the network, then all nodes and the balancer side by side.
func (b bench) create(t *testing.T) provision.Observed {
	t.Helper()
	if err := b.Provider.CreateNetwork(t.Context(), b.cluster); err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for _, node := range b.cluster.Nodes {
		group.Go(func() error { return b.Provider.CreateNode(ctx, b.cluster, node, []byte("machine: {}\n")) })
	}
	if balancing, ok := b.Provider.(provision.Balancing); ok {
		group.Go(func() error { return balancing.CreateBalancer(ctx, b.cluster) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return b.observe(t)
}

func (b bench) observe(t *testing.T) provision.Observed {
	t.Helper()
	observed, err := b.Provider.Observe(t.Context(), b.cluster.Name)
	if err != nil {
		t.Fatal(err)
	}
	return observed
}

// wipe leaves nothing of the cluster, whatever the test did.
func (b bench) wipe(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	observed, err := b.Provider.Observe(ctx, b.cluster.Name)
	if err == nil {
		err = b.Provider.Remove(ctx, observed)
	}
	if err != nil {
		t.Errorf("cleaning up: %v", err)
	}
}

func testCreates(t *testing.T, b bench) {
	observed := b.create(t)
	var got []provision.Machine
	for _, machine := range observed.Machines {
		machine.ID, machine.Ports = "", nil
		got = append(got, machine)
	}
	var want []provision.Machine
	for _, node := range b.cluster.Nodes {
		want = append(want, provision.Machine{
			Name: node.Name, Cluster: b.cluster.Name, Role: node.Role, State: provision.MachineRunning,
			IP: node.IP, Image: b.cluster.Image,
		})
	}
	if diff := cmp.Diff(want, got, addresses(), timeless()); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
	if len(observed.Networks) != 1 || observed.Networks[0].Subnet != b.cluster.Network.Subnet {
		t.Errorf("networks = %+v, want one of %s", observed.Networks, b.cluster.Network.Subnet)
	}
	checkAges(t, observed)
	for _, node := range b.cluster.Nodes {
		if diff := cmp.Diff(sorted(boot.Volumes()), pathsOf(observed, node.Name)); diff != "" {
			t.Errorf("volumes of %s (-want +got):\n%s", node.Name, diff)
		}
	}
}

// checkAges wants all that was just made to be young, where the provider tells.
func checkAges(t *testing.T, observed provision.Observed) {
	t.Helper()
	made := map[string]time.Time{}
	for _, machine := range slices.Concat(observed.Machines, observed.Balancers) {
		made[machine.Name] = machine.Created
	}
	for _, volume := range observed.Volumes {
		made[volume.Name] = volume.Created
	}
	for _, network := range observed.Networks {
		made["network "+network.Name] = network.Created
	}
	for name, created := range made {
		if age := time.Since(created); !created.IsZero() && age.Abs() > time.Hour {
			t.Errorf("%s was just made and says %s", name, created)
		}
	}
}

func addresses() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

// timeless compares but for when a thing was made.
func timeless() cmp.Option {
	return cmp.FilterPath(func(path cmp.Path) bool { return path.Last().String() == ".Created" }, cmp.Ignore())
}

func prefixes() cmp.Option {
	return cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
}

func sorted(values []string) []string {
	return slices.Sorted(slices.Values(values))
}

// pathsOf lists where the volumes of a node are mounted, sorted.
func pathsOf(observed provision.Observed, node string) []string {
	var paths []string
	for _, volume := range observed.Volumes {
		if volume.Node == node {
			paths = append(paths, volume.Path)
		}
	}
	return sorted(paths)
}

func testCreatesAgain(t *testing.T, b bench) {
	first := b.create(t)
	second := b.create(t)
	if diff := cmp.Diff(idsOf(first), idsOf(second)); diff != "" {
		t.Errorf("the second create made other objects (-first +second):\n%s", diff)
	}
}

func idsOf(observed provision.Observed) []string {
	var ids []string
	for _, machine := range slices.Concat(observed.Machines, observed.Balancers) {
		ids = append(ids, machine.ID)
	}
	for _, volume := range observed.Volumes {
		ids = append(ids, volume.Name)
	}
	for _, network := range observed.Networks {
		ids = append(ids, network.ID)
	}
	return ids
}

func testRevives(t *testing.T, b bench) {
	before := b.create(t)
	b.Stop(b.cluster.Founder().Name)
	if state := b.observe(t).Machines[0].State; state != provision.MachineStopped {
		t.Fatalf("after Stop the machine is %s", state)
	}
	after := b.create(t)
	if state := after.Machines[0].State; state != provision.MachineRunning {
		t.Errorf("the machine is %s, want running", state)
	}
	if diff := cmp.Diff(before.Volumes, after.Volumes, timeless()); diff != "" {
		t.Errorf("volumes changed (-before +after):\n%s", diff)
	}
}

func testRemoves(t *testing.T, b bench) {
	observed := b.create(t)
	for range 2 {
		if err := b.Provider.Remove(t.Context(), observed); err != nil {
			t.Fatal(err)
		}
		if left := b.observe(t); !left.Empty() {
			t.Fatalf("left over: %+v", left)
		}
	}
}

func testObserves(t *testing.T, b bench) {
	if observed := b.observe(t); !observed.Empty() {
		t.Fatalf("before anything is made there is %+v", observed)
	}
	b.create(t)
	other, err := b.Provider.Observe(t.Context(), b.Prefix+"-other")
	if err != nil {
		t.Fatal(err)
	}
	if !other.Empty() {
		t.Errorf("another cluster is seen to have %+v", other)
	}
	all, err := b.Provider.Observe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all.Machines, func(m provision.Machine) bool { return m.Cluster == b.cluster.Name }) {
		t.Errorf("among all clusters %q is not seen", b.cluster.Name)
	}
}

func testPorts(t *testing.T, b bench) {
	observed := b.create(t)
	gate := observed.Machines[0]
	if b.cluster.Balancer != nil {
		gate = observed.Balancers[0]
	}
	got := map[uint16]netip.Addr{}
	for _, port := range gate.Ports {
		if port.Host == 0 || port.Protocol != "tcp" {
			t.Errorf("port %+v, want a number and tcp", port)
		}
		got[port.Node] = port.HostIP
	}
	here := netip.MustParseAddr("127.0.0.1")
	want := map[uint16]netip.Addr{boot.MachineAPIPort: here, boot.KubernetesPort: here}
	if diff := cmp.Diff(want, got, addresses()); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}
