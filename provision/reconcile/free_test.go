package reconcile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// TestNoSourceKnowsANewNode holds for random pictures, in each of which stale and living identities are spread over the
// sources.
func TestNoSourceKnowsANewNode(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		cluster := village(t, 1, random.IntN(3))
		p := randomKnowledge(random, cluster)
		role := []provision.Role{provision.Worker, provision.ControlPlane}[random.IntN(2)]
		nodes, err := takenIn(cluster, p).next(cluster, role, 1+random.IntN(4))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, node := range nodes {
			for _, fact := range []string{node.Name, node.IP.String()} {
				if seen[fact] {
					t.Fatalf("%s is given twice: %v", fact, nodes)
				}
				seen[fact] = true
				// %+v prints every field of every source.
				if knows := fmt.Sprintf("%s %v %v", flat(p), cluster.Nodes, cluster.Balancer); mentions(knows, fact) {
					t.Fatalf("%s is known already:\n%s", fact, knows)
				}
			}
			if node.IP == cluster.Network.Gateway() || !cluster.Network.Subnet.Contains(node.IP) || node.IP == broadcast() {
				t.Fatalf("address %s", node.IP)
			}
		}
	}
}

func broadcast() netip.Addr { return netip.MustParseAddr("10.5.0.255") }

// mentions tells whether the text has the fact as a word.
func mentions(text, fact string) bool {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" []{}&", r) }) {
		if word == fact || word == "Name:"+fact {
			return true
		}
	}
	return false
}

// flat prints all that a picture points to.
func flat(p picture.Picture) string {
	var text strings.Builder
	for _, node := range p.Nodes {
		fmt.Fprint(&text, node.Name, " ", node.Volumes, " ")
		if node.Desired != nil {
			fmt.Fprint(&text, *node.Desired, " ")
		}
		if node.Machine != nil {
			fmt.Fprint(&text, *node.Machine, " ")
		}
		if node.Kubernetes != nil {
			fmt.Fprint(&text, *node.Kubernetes, " ")
		}
		if node.Affiliate != nil {
			fmt.Fprint(&text, *node.Affiliate, " ")
		}
		if node.Etcd != nil {
			fmt.Fprint(&text, *node.Etcd, " ")
		}
	}
	return text.String()
}

// randomKnowledge is a picture in which any source may know any of a few names and addresses, whether they fit or not.
func randomKnowledge(random *rand.Rand, cluster provision.Cluster) picture.Picture {
	name := func() string {
		return provision.NodeName(cluster.Name, []provision.Role{provision.Worker, provision.ControlPlane}[random.IntN(2)], 1+random.IntN(6))
	}
	address := func() netip.Addr { return netip.AddrFrom4([4]byte{10, 5, 0, byte(2 + random.IntN(10))}) }
	p := picture.Picture{Cluster: cluster.Name}
	for range random.IntN(8) {
		node := picture.Node{Name: name()}
		switch random.IntN(6) {
		case 0:
			node.Desired = &provision.Node{Name: name(), IP: address()}
		case 1:
			node.Machine = &provision.Machine{Name: name(), IP: address()}
		case 2:
			node.Volumes = []provision.Volume{{Node: name()}}
		case 3:
			node.Kubernetes = &picture.KubernetesNode{Name: name(), IP: address()}
		case 4:
			node.Affiliate = &picture.Affiliate{Nodename: name(), Hostname: name(), Addresses: []netip.Addr{address(), address()}}
		case 5:
			node.Etcd = &picture.EtcdMember{Name: name(), IP: address()}
		}
		p.Nodes = append(p.Nodes, node)
	}
	return p
}

func TestASubnetThatIsFullSaysWhatHelps(t *testing.T) {
	cluster := village(t, 1, 1)
	cluster.Network.Subnet = netip.MustParsePrefix("10.5.0.0/29")
	cluster.Balancer.IP = cluster.Network.LastHost()
	// .1 is the gateway, .2 and .3 are nodes, .6 is the balancer, .7 the broadcast.
	nodes, err := takenIn(cluster, picture.Picture{}).next(cluster, provision.Worker, 2)
	if err != nil || names(nodes) != "dev-worker-2, dev-worker-3" || nodes[1].IP != netip.MustParseAddr("10.5.0.5") {
		t.Errorf("%v, %v", nodes, err)
	}
	_, err = takenIn(cluster, picture.Picture{}).next(cluster, provision.Worker, 3)
	if err == nil || !strings.Contains(err.Error(), "room for 2 more nodes, not for 3") || len(provision.Hints(err)) != 1 {
		t.Errorf("error %v, hints %q", err, provision.Hints(err))
	}
}

func TestTheLowestNumbersComeFirst(t *testing.T) {
	cluster := village(t, 1, 3)
	cluster.Nodes = append(cluster.Nodes[:2:2], cluster.Nodes[3])
	nodes, err := takenIn(cluster, picture.Picture{}).next(cluster, provision.Worker, 2)
	if err != nil || names(nodes) != "dev-worker-2, dev-worker-4" || nodes[0].IP != netip.MustParseAddr("10.5.0.4") {
		t.Errorf("%v, %v", nodes, err)
	}
}
