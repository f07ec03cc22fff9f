package netstate_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/resources/netstate"
	"github.com/bronze-os/bronze/test/need"
	"github.com/bronze-os/bronze/test/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheNetworkIsPublishedAsItChanges(t *testing.T) {
	if !netns.Inside(t) {
		return
	}

	st := start(t)

	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0", Index: 31, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1400}}
	if err := netlink.LinkAdd(link); err != nil {
		need.Missing(t, "cannot make an interface here: %v", err)
	}

	// It comes before eth0 in the kernel's list, and is not how the node is in its network.
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cni0", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 2}}}))
	must(t, netlink.LinkSetUp(link))
	must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipnet(t, "10.5.0.2/24")}))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Index, Gw: net.IPv4(10, 5, 0, 1)}))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Index, Gw: net.IPv4(10, 5, 0, 3), Dst: ipnet(t, "10.244.1.0/24"), Priority: 7}))

	address := await(t, st, network.NewAddressStatus(network.NamespaceName, "eth0/10.5.0.2/24"))
	shown := await(t, st, network.NewLinkStatus(network.NamespaceName, "eth0"))
	fallback := await(t, st, network.NewRouteStatus(network.NamespaceName, "inet4/10.5.0.1//0"))
	other := await(t, st, network.NewRouteStatus(network.NamespaceName, "inet4/10.5.0.3/10.244.1.0/24/7"))
	card := await(t, st, network.NewHardwareAddr(network.NamespaceName, network.FirstHardwareAddr))
	rule := await(t, st, network.NewRoutingRuleStatus(network.NamespaceName, "inet4/32766"))

	got := []string{
		address.TypedSpec().Address.String(), address.TypedSpec().LinkName, address.TypedSpec().Broadcast.String(), address.TypedSpec().Scope.String(),
		shown.TypedSpec().Kind, shown.TypedSpec().Type.String(), shown.TypedSpec().HardwareAddr.String(),
		fallback.TypedSpec().Gateway.String(), fallback.TypedSpec().OutLinkName, fallback.TypedSpec().Table.String(),
		other.TypedSpec().Destination.String(), other.TypedSpec().Type.String(),
		card.TypedSpec().Name, rule.TypedSpec().Action.String(), rule.TypedSpec().Table.String(),
	}
	want := []string{
		"10.5.0.2/24", "eth0", "10.5.0.255", "global",
		"bridge", "ether", "02:00:00:00:00:01",
		"10.5.0.1", "eth0", "main",
		"10.244.1.0/24", "unicast",
		"eth0", "unicast", "main",
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if shown.TypedSpec().MTU != 1400 {
		t.Errorf("MTU: %d", shown.TypedSpec().MTU)
	}

	must(t, netlink.LinkDel(link))

	for _, gone := range []resource.Resource{address, shown, fallback, other} {
		if _, err := st.WatchFor(limited(t), gone.Metadata(), state.WithEventTypes(state.Destroyed)); err != nil {
			t.Errorf("%s is still there: %v", gone.Metadata(), err)
		}
	}
}

func TestWhatStaysTheSameIsNotWrittenAgain(t *testing.T) {
	if !netns.Inside(t) {
		return
	}

	st := start(t)
	before := await(t, st, network.NewLinkStatus(network.NamespaceName, "lo"))

	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}}); err != nil {
		need.Missing(t, "cannot make an interface here: %v", err)
	}

	await(t, st, network.NewLinkStatus(network.NamespaceName, "eth0"))

	after := await(t, st, network.NewLinkStatus(network.NamespaceName, "lo"))
	if !before.Metadata().Version().Equal(after.Metadata().Version()) {
		t.Error("another link's change makes a new version of lo")
	}
}

// start publishes the network of the test's namespace until the test ends.
func start(t *testing.T) state.State {
	t.Helper()

	st := state.WrapCore(inmem.NewState(network.NamespaceName))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- netstate.Run(ctx, st) }()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return st
}

func limited(t *testing.T) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)

	return ctx
}

// await blocks until a resource is there and answers it.
func await[R resource.Resource](t *testing.T, st state.State, like R) R {
	t.Helper()

	if _, err := st.WatchFor(limited(t), like.Metadata(), state.WithEventTypes(state.Created, state.Updated)); err != nil {
		t.Fatalf("waiting for %s: %v", like.Metadata(), err)
	}

	found, err := safe.StateGet[R](t.Context(), st, like.Metadata())
	if err != nil {
		t.Fatal(err)
	}

	return found
}

func must(t *testing.T, err error) {
	t.Helper()

	if err != nil {
		t.Fatal(err)
	}
}

func ipnet(t *testing.T, text string) *net.IPNet {
	t.Helper()

	network, err := netlink.ParseIPNet(text)
	if err != nil {
		t.Fatal(err)
	}

	return network
}
