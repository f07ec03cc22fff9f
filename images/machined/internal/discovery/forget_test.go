package discovery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestANodeThatIsGoneIsForgottenEverywhereAtOnce(t *testing.T) {
	s := newSite(t, 3*patience)
	nodes, _ := s.trio(t)

	nodes[2].stop()

	if err := nodes[0].client.Forget(t.Context(), "id-w1"); err != nil {
		t.Fatal(err)
	}

	without := three()
	delete(without, "worker-1")

	if diff := cmp.Diff(without, nodes[0].members(t)); diff != "" {
		t.Errorf("members of the node that was asked (-want +got):\n%s", diff)
	}

	awaits(t, without, nodes[0], nodes[1])

	late := s.node(t, who{id: "id-w2", name: "worker-2", ip: "127.0.0.4"})
	without["worker-2"] = "id-w2"
	awaits(t, without, late, nodes[0], nodes[1])
}

func TestANodeThatLivesIsKnownAgain(t *testing.T) {
	nodes, _ := newSite(t, 3*patience).trio(t)

	// Its new announcement is on its way while the old one is being forgotten.
	for range 10 {
		// What was deleted the time before may reach it only now.
		if err := nodes[0].client.Forget(t.Context(), "id-w1"); err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}

		awaits(t, three(), nodes[:]...)
	}
}

func TestTheOnlyControlPlaneThatLivesIsKnownAgain(t *testing.T) {
	s := newSite(t, 3*patience)
	s.server(t, "127.0.0.1")
	nodes := []*node{
		s.node(t, who{id: "id-c1", name: "control-1", ip: "127.0.0.1", controlPlane: true}),
		s.node(t, who{id: "id-w1", name: "worker-1", ip: "127.0.0.2"}),
	}
	want := map[string]string{"control-1": "id-c1", "worker-1": "id-w1"}
	awaits(t, want, nodes...)

	for range 10 {
		// What was deleted the time before may reach it only now.
		if err := nodes[1].client.Forget(t.Context(), "id-c1"); err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}

		awaits(t, want, nodes...)
	}
}

func TestAServerThatCannotBeAskedIsNamed(t *testing.T) {
	s := newSite(t, 3*patience)
	nodes, stopServers := s.trio(t)

	stopServers[1]()
	nodes[2].stop()

	err := nodes[0].client.Forget(t.Context(), "id-w1")
	if want := fmt.Sprintf("127.0.0.2:%d: ", s.port); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that names %s", err, want)
	}

	without := three()
	delete(without, "worker-1")
	awaits(t, without, nodes[0], nodes[1])
}

func TestTheServerOfAControlPlaneThatIsGoneNeedNotAnswer(t *testing.T) {
	nodes, stopServers := newSite(t, 3*patience).trio(t)

	stopServers[1]()
	nodes[1].stop()

	if err := nodes[2].client.Forget(t.Context(), "id-c2"); err != nil {
		t.Error(err)
	}

	without := three()
	delete(without, "control-2")
	awaits(t, without, nodes[0], nodes[2])
}

func TestWhatCannotBeForgotten(t *testing.T) {
	s := newSite(t, 3*patience)
	s.server(t, "127.0.0.1")
	n := s.node(t, who{id: "id-c1", name: "control-1", ip: "127.0.0.1", controlPlane: true})
	awaits(t, map[string]string{"control-1": "id-c1"}, n)

	for name, test := range map[string]struct {
		nodeID string
		want   codes.Code
	}{
		"the node itself":  {"id-c1", codes.FailedPrecondition},
		"one of no ID":     {"", codes.InvalidArgument},
		"one of a long ID": {strings.Repeat("x", 257), codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			if err := n.client.Forget(t.Context(), test.nodeID); status.Code(err) != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}

	t.Run("one that nobody knows", func(t *testing.T) {
		err := n.client.Forget(t.Context(), "id-x")
		for status.Code(err) == codes.Unavailable && t.Context().Err() == nil {
			err = n.client.Forget(t.Context(), "id-x")
		}

		if status.Code(err) != codes.NotFound {
			t.Errorf("error %v", err)
		}
	})
	t.Run("anybody where discovery does not run", func(t *testing.T) {
		n.stop()

		if err := n.client.Forget(t.Context(), "id-x"); err == nil {
			t.Error("no error")
		}
	})
}
