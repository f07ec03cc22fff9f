package discovery_test

import (
	"context"
	"crypto/aes"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/client/pb"
	talos "github.com/siderolabs/discovery-client/pkg/client"
	"go.uber.org/zap"
)

// TestANodeOfTalosIsAMemberToo has siderolabs' own client, which Talos uses, talk to the server: both see each other.
func TestANodeOfTalosIsAMemberToo(t *testing.T) {
	s := newSite(t, time.Minute)
	s.server(t, "127.0.0.1")
	ours := s.node(t, who{id: "id-c1", name: "control-1", ip: "127.0.0.1", controlPlane: true})

	cipher, err := aes.NewCipher([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}

	theirs, err := talos.NewClient(talos.Options{
		Cipher: cipher, ClusterID: clusterID, AffiliateID: "id-t1", TTL: time.Minute,
		Endpoint:  net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		TLSConfig: func() *tls.Config { return &tls.Config{RootCAs: s.pki.Pool()} },
	})
	if err != nil {
		t.Fatal(err)
	}

	said := &talos.Affiliate{
		Affiliate: &pb.Affiliate{NodeId: "id-t1", Nodename: "talos-1", Hostname: "talos-1.example.org", MachineType: "worker"},
		Endpoints: []*pb.Endpoint{{Ip: []byte{10, 5, 0, 9}, Port: 51820}},
	}
	if err := theirs.SetLocalData(said, []talos.Endpoint{{AffiliateID: "id-c1", Endpoints: said.Endpoints}}); err != nil {
		t.Fatal(err)
	}

	heard := make(chan struct{}, 1)
	background(t, func(ctx context.Context) error { return theirs.Run(ctx, zap.NewNop(), heard) })

	awaits(t, map[string]string{"control-1": "id-c1", "talos-1": "id-t1"}, ours)

	for deadline := time.After(patience); ; {
		if all := theirs.GetAffiliates(); len(all) == 1 && all[0].Affiliate.GetNodename() == "control-1" {
			return
		}

		select {
		case <-heard:
		case <-deadline:
			t.Fatalf("Talos's client knows %v", theirs.GetAffiliates())
		}
	}
}
