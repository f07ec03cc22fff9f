//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/test/lab"
	"github.com/bronze-os/bronze/test/lab/labtest"
)

// shortTTL makes nodes forget each other soon, as a user would who cannot wait.
const shortTTL = `{"apiVersion": "v1alpha1", "kind": "EnvironmentConfig", "variables": {"BRONZE_DISCOVERY_TTL": "9s"}}`

// TestDiscovery wants both nodes to know each other, to forget who is dead, and to believe no stranger.
func TestDiscovery(t *testing.T) {
	l := labtest.New(t, "e2e-discovery")
	run(t, l.Bronze(t.Context(), append(labtest.Create(l.Cluster), "--workers", "1", "--config-patch", shortTTL)...))

	c, err := client.New(t.Context(), client.WithConfigFromFile(l.Talosconfig()), client.WithContextName(l.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	r := discovering{running: look(t, l), client: c}
	controlPlane, worker := r.nodes[0].Name, r.nodes[1].Name

	t.Run("every node knows both", func(t *testing.T) {
		r.awaitMembers(t, r.addresses()[0], controlPlane, worker)
		r.awaitMembers(t, r.addresses()[1], controlPlane, worker)
	})
	t.Run("affiliates are the nodes as Kubernetes knows them", r.testAffiliates)
	t.Run("a stranger can take nobody away", r.testStranger)

	before := r.nodeID(t, worker)

	t.Run("a killed worker is forgotten", func(t *testing.T) {
		docker(t, "kill", worker)
		r.awaitMembers(t, r.addresses()[0], controlPlane)
	})
	t.Run("it comes back as the same", func(t *testing.T) {
		docker(t, "start", worker)
		r.awaitMembers(t, r.addresses()[0], controlPlane, worker)

		if after := r.nodeID(t, worker); after != before {
			t.Errorf("its node ID was %s and is %s", before, after)
		}
	})
	t.Run("a server that restarts knows all again", func(t *testing.T) {
		docker(t, "restart", "--time", "20", controlPlane)
		r.awaitMembers(t, r.addresses()[0], controlPlane, worker)
		r.awaitMembers(t, r.addresses()[1], controlPlane, worker)
	})
}

// discovering is a cluster that is asked for its members.
type discovering struct {
	running

	client *client.Client
}

func docker(t *testing.T, args ...string) {
	t.Helper()

	if _, err := lab.Docker(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// awaitMembers waits until the node at that address has exactly these members.
func (r discovering) awaitMembers(t *testing.T, address string, names ...string) {
	t.Helper()

	want := map[string]bool{}
	for _, name := range names {
		want[name] = true
	}

	until(t, func(ctx context.Context) error {
		list, err := safe.StateListAll[*cluster.Member](client.WithNode(ctx, address), r.client.COSI)
		if err != nil {
			return err
		}

		got := map[string]bool{}
		for member := range list.All() {
			got[member.Metadata().ID()] = true
		}

		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("members of %s (-want +got):\n%s", address, diff)
		}

		return nil
	})
}

// nodeID is a member's as the first node knows it.
func (r discovering) nodeID(t *testing.T, name string) string {
	t.Helper()

	member, err := safe.StateGetByID[*cluster.Member](client.WithNode(t.Context(), r.addresses()[0]), r.client.COSI, name)
	if err != nil {
		t.Fatal(err)
	}

	return member.TypedSpec().NodeID
}

func (r discovering) testAffiliates(t *testing.T) {
	want := map[string]string{}
	for i, node := range r.nodes {
		want[node.Name] = r.addresses()[i]
	}

	for _, address := range r.addresses() {
		ctx := client.WithNode(t.Context(), address)

		list, err := safe.StateListAll[*cluster.Affiliate](ctx, r.client.COSI)
		if err != nil {
			t.Fatal(err)
		}

		identity, err := safe.StateGetByID[*cluster.Identity](ctx, r.client.COSI, cluster.LocalIdentity)
		if err != nil {
			t.Fatal(err)
		}

		got := map[string]string{}
		own := false

		for affiliate := range list.All() {
			spec := affiliate.TypedSpec()
			own = own || spec.NodeID == identity.TypedSpec().NodeID
			got[spec.Nodename] = strings.Trim(fmt.Sprint(spec.Addresses), "[]")
		}

		if diff := cmp.Diff(want, got); diff != "" || !own {
			t.Errorf("affiliates of %s, its own among them: %t (-want +got):\n%s", address, own, diff)
		}
	}
}

// testStranger talks to the control plane's discovery as anybody on the network can, who even knows the cluster's ID.
func (r discovering) testStranger(t *testing.T) {
	ctx := client.WithNode(t.Context(), r.addresses()[0])

	info, err := safe.StateGetByID[*cluster.Info](ctx, r.client.COSI, cluster.InfoID)
	if err != nil {
		t.Fatal(err)
	}

	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(r.addresses()[0], strconv.Itoa(boot.DiscoveryPort)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	stranger, own := pb.NewClusterClient(conn), info.TypedSpec().ClusterID
	victim := r.nodeID(t, r.nodes[1].Name)

	_, deleting := stranger.AffiliateDelete(t.Context(), &pb.AffiliateDeleteRequest{ClusterId: own, AffiliateId: victim})
	_, updating := stranger.AffiliateUpdate(t.Context(), &pb.AffiliateUpdateRequest{ClusterId: own, AffiliateId: victim, AffiliateData: []byte("gone")})
	_, foreign := stranger.List(t.Context(), &pb.ListRequest{ClusterId: "another"})

	for _, err := range []error{deleting, foreign} {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("it was not denied but: %v", err)
		}
	}

	if updating == nil {
		t.Error("it took an update that nobody sealed")
	}

	list, err := stranger.List(t.Context(), &pb.ListRequest{ClusterId: own})
	if err != nil || len(list.GetAffiliates()) != len(r.nodes) {
		t.Errorf("affiliates are now %v, %v", list.GetAffiliates(), err)
	}
}
