package machine

import (
	"net/netip"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"

	"github.com/bronze-os/bronze/images/machined/internal/resources"
)

func TestNodesAreFoundByTheNamesOfMembers(t *testing.T) {
	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	lost := cluster.NewMember(cluster.NamespaceName, "lost")
	known := cluster.NewMember(cluster.NamespaceName, "id-1")
	known.TypedSpec().Hostname = "node-1"
	known.TypedSpec().Addresses = []netip.Addr{netip.MustParseAddr("10.5.0.3"), netip.MustParseAddr("10.9.0.3")}

	for _, member := range []*cluster.Member{lost, known} {
		if err := st.Create(t.Context(), member); err != nil {
			t.Fatal(err)
		}
	}

	for name, want := range map[string]string{
		"node-1": "10.5.0.3", "id-1": "10.5.0.3", "node-2": "invalid IP", "lost": "invalid IP", "": "invalid IP",
	} {
		got, ok := memberAddress(t.Context(), st, name)
		if got.String() != want || ok != (want != "invalid IP") {
			t.Errorf("%q is %s (%t)", name, got, ok)
		}
	}
}
