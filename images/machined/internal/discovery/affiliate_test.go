package discovery

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/discovery-api/api/v1alpha1/client/pb"
	serverpb "github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/protobuf/proto"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
)

func compareAddresses() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}

	return all
}

func TestANodeAnnouncesWhereOthersReachIt(t *testing.T) {
	withNetworks := configWith(func(c *v1alpha1.Config) {
		c.ClusterConfig.ClusterNetwork = &v1alpha1.ClusterNetworkConfig{PodSubnet: []string{"10.244.0.0/16"}, ServiceSubnet: []string{"10.96.0.0/12"}}
	})

	tests := []struct {
		name      string
		main      string
		addresses []netip.Prefix
		want      []netip.Addr
	}{
		{"none", "10.5.0.2", nil, []netip.Addr{}},
		{"not those of pods and Services", "10.5.0.2", prefixes("10.244.1.1/24", "10.5.0.2/24", "10.97.0.1/32"), addrs("10.5.0.2")},
		{"the main one first", "10.5.0.2", prefixes("fd00::2/64", "172.30.0.1/24", "10.5.0.2/24"), addrs("10.5.0.2", "fd00::2", "172.30.0.1")},
		{"a main one that is gone is not there", "10.5.0.2", prefixes("10.6.0.2/24"), addrs("10.6.0.2")},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := announced(netip.MustParseAddr(test.main), test.addresses, withNetworks)
			if diff := cmp.Diff(test.want, got, compareAddresses()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatANodeSaysOfItself(t *testing.T) {
	opts := Options{NodeID: "id", Hostname: "node-1", Version: "v1.2.3", IP: netip.MustParseAddr("10.5.0.2")}
	worker := cluster.AffiliateSpec{
		NodeID: "id", Addresses: addrs("10.5.0.2"), Hostname: "node-1", Nodename: "node-1",
		OperatingSystem: "Bronze (v1.2.3)", MachineType: machine.TypeWorker,
	}
	controlPlane := worker
	controlPlane.MachineType = machine.TypeControlPlane
	controlPlane.ControlPlane = &cluster.ControlPlane{APIServerPort: 7443}

	for kind, want := range map[string]cluster.AffiliateSpec{"worker": worker, "controlplane": controlPlane} {
		t.Run(kind, func(t *testing.T) {
			got := opts.self(configWith(func(c *v1alpha1.Config) {
				c.MachineConfig.MachineType = kind
				c.ClusterConfig.ControlPlane.LocalAPIServerPort = 7443
			}), prefixes("10.5.0.2/24"))
			if diff := cmp.Diff(want, got, compareAddresses()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}

			if diff := cmp.Diff(want, decode(encode(got)), compareAddresses()); diff != "" {
				t.Errorf("after the way over the wire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	got := decode(&pb.Affiliate{
		NodeId: "id", Nodename: "new", MachineType: "quantum", Addresses: [][]byte{{1, 2}, {10, 5, 0, 2}, nil},
		ControlPlane: &pb.ControlPlane{ApiServerPort: 70000}, Kubespan: &pb.KubeSpan{PublicKey: "key"},
	})
	want := cluster.AffiliateSpec{NodeID: "id", Nodename: "new", Addresses: addrs("10.5.0.2")}

	if diff := cmp.Diff(want, got, compareAddresses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARefreshSaysTheSameBytes(t *testing.T) {
	secret := testSecret(t)
	a := newAnnouncement()

	if sealed, _ := a.now(); len(sealed) != 0 {
		t.Error("it says something before it is told what")
	}

	_, changed := a.now()

	if err := a.set(secret, cluster.AffiliateSpec{NodeID: "id"}); err != nil {
		t.Fatal(err)
	}

	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}

	first, changed := a.now()

	if err := a.set(secret, cluster.AffiliateSpec{NodeID: "id"}); err != nil {
		t.Fatal(err)
	}

	select {
	case <-changed:
		t.Error("the same was told twice")
	default:
	}

	if err := a.set(secret, cluster.AffiliateSpec{NodeID: "id", Hostname: "new"}); err != nil {
		t.Fatal(err)
	}

	if second, _ := a.now(); bytes.Equal(first, second) {
		t.Error("it still says the old")
	}
}

func testSecret(t testing.TB) *seal.Secret {
	t.Helper()

	secret, err := seal.New(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}

	return secret
}

// FuzzAffiliate plays a server, which may hand on whatever it was given: bytes that nobody sealed, and such as only a
// member of the cluster can seal.
func FuzzAffiliate(f *testing.F) {
	secret := testSecret(f)

	good, err := proto.Marshal(encode(cluster.AffiliateSpec{
		NodeID: "id", Nodename: "node-1", Addresses: addrs("10.5.0.2", "fd00::2"), MachineType: machine.TypeControlPlane,
		ControlPlane: &cluster.ControlPlane{APIServerPort: 6443},
	}))
	if err != nil {
		f.Fatal(err)
	}

	sealed, err := secret.Seal(&pb.Affiliate{NodeId: "id"})
	if err != nil {
		f.Fatal(err)
	}

	f.Add("id", good, sealed, false)
	f.Add("self", good, sealed[:10], true)
	f.Add("", []byte(nil), []byte(nil), false)

	f.Fuzz(func(t *testing.T, id string, text, sealed []byte, deleted bool) {
		var news []event

		s := &session{
			config: settings{secret: secret}, nodeID: "self", absent: make(chan struct{}, 1),
			tell: func(e event) { news = append(news, e) },
		}

		affiliates := []*serverpb.Affiliate{{Id: id, Data: sealed, Endpoints: [][]byte{text}}, nil}

		var message pb.Affiliate
		if proto.Unmarshal(text, &message) == nil {
			again, err := secret.Seal(&message)
			if err != nil {
				t.Fatal(err)
			}

			affiliates = append(affiliates, &serverpb.Affiliate{Id: message.GetNodeId(), Data: again})
		}

		s.take(isSnapshot, &serverpb.WatchResponse{Affiliates: affiliates, Deleted: deleted})

		v := newView(ttl.Default)
		for _, e := range news {
			for _, spec := range e.affiliates {
				if spec.NodeID == s.nodeID {
					t.Error("a node heard of itself")
				}
			}

			v.apply(e, time.Unix(1000, 0))
		}

		self := cluster.AffiliateSpec{NodeID: "self", Nodename: "self"}
		others := v.affiliates()

		if got := members(&self, others)["self"]; got.NodeID != "self" {
			t.Errorf("%q took this node's name", got.NodeID)
		}

		remember(nil, controlPlanes(self, others), time.Unix(1000, 0))
	})
}
