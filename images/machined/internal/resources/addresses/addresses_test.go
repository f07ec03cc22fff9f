package addresses_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/machined/internal/resources/addresses"
	"github.com/bronze-os/bronze/test/need"
	"github.com/bronze-os/bronze/test/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWatcherSeesAddressesComeAndGo(t *testing.T) {
	if !netns.Inside(t) {
		return
	}

	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}}
	if err := netlink.LinkAdd(link); err != nil {
		need.Missing(t, "cannot make an interface here: %v", err)
	}

	watcher, err := addresses.Open()
	if err != nil {
		t.Fatal(err)
	}

	if list := watcher.List(); len(list) > 0 {
		t.Fatalf("an empty namespace has %v", list)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- watcher.Run(ctx) }()

	address := &netlink.Addr{IPNet: network(t, "10.5.0.2/24")}
	local := &netlink.Addr{IPNet: network(t, "169.254.1.1/16"), Scope: int(netlink.SCOPE_LINK)}

	for _, add := range []*netlink.Addr{local, address} {
		if err := netlink.AddrAdd(link, add); err != nil {
			t.Fatal(err)
		}
	}

	await(t, watcher, netip.MustParsePrefix("10.5.0.2/24"))

	if err := netlink.AddrDel(link, address); err != nil {
		t.Fatal(err)
	}

	await(t, watcher)
	cancel()

	if err := <-done; err != nil {
		t.Error(err)
	}
}

func network(t *testing.T, text string) *net.IPNet {
	t.Helper()

	ipnet, err := netlink.ParseIPNet(text)
	if err != nil {
		t.Fatal(err)
	}

	return ipnet
}

// await blocks until the watcher lists exactly want.
func await(t *testing.T, watcher *addresses.Watcher, want ...netip.Prefix) {
	t.Helper()

	limit := time.After(10 * time.Second)

	for {
		changed := watcher.Changed()
		if slices.Equal(watcher.List(), want) {
			return
		}

		select {
		case <-changed:
		case <-limit:
			t.Fatal(cmp.Diff(want, watcher.List(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })))
		}
	}
}
