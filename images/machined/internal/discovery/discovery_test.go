package discovery_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
)

func TestNodesThatKnowOnlyTheEndpointFindAll(t *testing.T) {
	nodes, _ := newSite(t, 3*patience).trio(t)

	for _, n := range nodes {
		affiliates, err := safe.StateListAll[*cluster.Affiliate](t.Context(), n.state)
		if err != nil {
			t.Fatal(err)
		}

		got := map[string]string{}
		for a := range affiliates.All() {
			got[a.Metadata().ID()] = summary(a.TypedSpec())
		}

		want := map[string]string{
			"id-c1": "control-1 [127.0.0.1] controlplane Bronze (v1.2.3)",
			"id-c2": "control-2 [127.0.0.2] controlplane Bronze (v1.2.3)",
			"id-w1": "worker-1 [127.0.0.3] worker Bronze (v1.2.3)",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("affiliates (-want +got):\n%s", diff)
		}
	}
}

func TestTheLossOfTheFirstControlPlaneLosesNoOther(t *testing.T) {
	s := newSite(t, ttl.Shortest)
	nodes, stopServers := s.trio(t)

	stopServers[0]()
	nodes[0].stop()

	left := three()
	delete(left, "control-1")
	awaits(t, left, nodes[1], nodes[2])

	t.Run("a node that starts anew finds the rest without the endpoint", func(t *testing.T) {
		nodes[2].stop()
		again := s.node(t, who{id: "id-w1", name: "worker-1", ip: "127.0.0.3", known: nodes[2].known})
		awaits(t, left, again, nodes[1])
	})
}

func TestAServerThatStartsEmptyIsFilledAgainWithoutLoss(t *testing.T) {
	s := newSite(t, 3*patience)
	stop := s.server(t, "127.0.0.1")
	nodes := []*node{
		s.node(t, who{id: "id-c1", name: "control-1", ip: "127.0.0.1", controlPlane: true}),
		s.node(t, who{id: "id-w1", name: "worker-1", ip: "127.0.0.2"}),
		s.node(t, who{id: "id-w2", name: "worker-2", ip: "127.0.0.3"}),
	}
	want := map[string]string{"control-1": "id-c1", "worker-1": "id-w1", "worker-2": "id-w2"}
	awaits(t, want, nodes...)

	done := never(t, nodes[1])

	stop()
	s.server(t, "127.0.0.1")

	// Who comes now learns of all from what the others announce again.
	late := s.node(t, who{id: "id-w3", name: "worker-3", ip: "127.0.0.4"})
	want["worker-3"] = "id-w3"
	awaits(t, want, append(nodes, late)...)
	done()
}

func TestASilentNodeIsForgotten(t *testing.T) {
	s := newSite(t, ttl.Shortest)
	nodes, _ := s.trio(t)

	nodes[1].stop()

	without := three()
	delete(without, "control-2")
	awaits(t, without, nodes[0], nodes[2])
}

func TestANodeThatLeavesIsForgottenLongBeforeItsTime(t *testing.T) {
	s := newSite(t, 3*patience)
	nodes, _ := s.trio(t)

	if err := nodes[2].client.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}

	without := three()
	delete(without, "worker-1")
	awaits(t, without, nodes[0], nodes[1])
}

func TestTwoNodesOfOneNameStayTwoMembers(t *testing.T) {
	s := newSite(t, 6*time.Second)
	s.server(t, "127.0.0.1")
	first := s.node(t, who{id: "id-c1", name: "control-1", ip: "127.0.0.1", controlPlane: true})
	s.node(t, who{id: "old-identity", name: "worker-1", ip: "127.0.0.2"})
	awaits(t, map[string]string{"control-1": "id-c1", "worker-1": "old-identity"}, first)

	s.node(t, who{id: "new-identity", name: "worker-1", ip: "127.0.0.2"})
	want := map[string]string{"control-1": "id-c1", "worker-1": "new-identity", "worker-1-old-iden": "old-identity"}
	awaits(t, want, first)

	// Refreshes of both change nothing.
	done := never(t, first)
	defer done()

	<-time.After(s.ttl)

	if diff := cmp.Diff(want, first.members(t)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestTheMachineConfigTurnsDiscoveryOffAndOn(t *testing.T) {
	s := newSite(t, 3*patience)
	nodes, _ := s.trio(t)
	worker := nodes[2]
	before := worker.config.Current()
	without := three()
	delete(without, "worker-1")

	change := func(change func(*v1alpha1.ClusterDiscoveryConfig)) {
		worker.config.set(s.config(t, before, func(c *v1alpha1.Config) { change(c.ClusterConfig.ClusterDiscoveryConfig) }))
	}

	t.Run("without discovery it knows nobody", func(t *testing.T) {
		change(func(c *v1alpha1.ClusterDiscoveryConfig) { c.DiscoveryEnabled = new(false) })
		awaits(t, map[string]string{}, worker)
		awaits(t, without, nodes[0], nodes[1])
	})
	t.Run("on again, it knows all", func(t *testing.T) {
		worker.config.set(before)
		awaits(t, three(), nodes[:]...)
	})
	t.Run("without the service it knows itself", func(t *testing.T) {
		change(func(c *v1alpha1.ClusterDiscoveryConfig) {
			c.DiscoveryRegistries.RegistryService.RegistryDisabled = new(true)
		})
		awaits(t, map[string]string{"worker-1": "id-w1"}, worker)
		awaits(t, without, nodes[0], nodes[1])
	})
	t.Run("with another secret it understands nobody", func(t *testing.T) {
		other := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("o", 32)))
		worker.config.set(s.config(t, before, func(c *v1alpha1.Config) { c.ClusterConfig.ClusterSecret = other }))
		awaits(t, map[string]string{"worker-1": "id-w1"}, worker)
		awaits(t, without, nodes[0], nodes[1])
	})
}

func TestAServerThatTheMachineConfigNamesIsAskedToo(t *testing.T) {
	s := newSite(t, 3*patience)
	s.server(t, "127.0.0.9")

	var nodes []*node

	for i, id := range []string{"a", "b"} {
		n := s.node(t, who{id: id, name: "worker-" + id, ip: fmt.Sprintf("127.0.0.%d", i+2)})
		n.config.set(s.config(t, n.config.Current(), func(c *v1alpha1.Config) {
			endpoint := url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.9", fmt.Sprint(s.port))}
			c.ClusterConfig.ClusterDiscoveryConfig.DiscoveryRegistries.RegistryService.RegistryEndpoint = endpoint.String()
		}))

		nodes = append(nodes, n)
	}

	awaits(t, map[string]string{"worker-a": "a", "worker-b": "b"}, nodes...)
}

func summary(spec *cluster.AffiliateSpec) string {
	return fmt.Sprintf("%s %v %s %s", spec.Nodename, spec.Addresses, spec.MachineType, spec.OperatingSystem)
}
