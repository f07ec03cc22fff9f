package providertest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

func testForeignContainer(t *testing.T, b bench) {
	name := b.cluster.Founder().Name
	b.AddForeign(t, KindContainer, name)
	if err := b.Provider.CreateNetwork(t.Context(), b.cluster); err != nil {
		t.Fatal(err)
	}
	err := b.Provider.CreateNode(t.Context(), b.cluster, b.cluster.Founder(), nil)
	wantError(t, err, provision.ErrClash)
	wantError(t, b.Provider.Preflight(t.Context(), b.cluster), provision.ErrClash)
	b.wipe(t)
	if !b.HasForeign(KindContainer, name) {
		t.Error("another's container is gone")
	}
}

func testForeignNetwork(t *testing.T, b bench) {
	b.AddForeign(t, KindNetwork, b.cluster.Name)
	wantError(t, b.Provider.Preflight(t.Context(), b.cluster), provision.ErrClash)
	wantError(t, b.Provider.CreateNetwork(t.Context(), b.cluster), provision.ErrClash)
	b.wipe(t)
	if !b.HasForeign(KindNetwork, b.cluster.Name) {
		t.Error("another's network is gone")
	}
}

func testForeignVolume(t *testing.T, b bench) {
	b.AddForeign(t, KindVolume, volumeName(b.cluster.Founder().Name, boot.EphemeralPath))
	wantError(t, b.Provider.Preflight(t.Context(), b.cluster), provision.ErrClash)
}

func testOtherSubnet(t *testing.T, b bench) {
	if err := b.Provider.CreateNetwork(t.Context(), b.cluster); err != nil {
		t.Fatal(err)
	}
	other := b.cluster
	other.Network.Subnet = netip.PrefixFrom(b.Subnet.Addr(), b.Subnet.Bits()+1)
	wantError(t, b.Provider.CreateNetwork(t.Context(), other), provision.ErrClash)
}

func testTakenSubnet(t *testing.T, b bench) {
	if err := b.Provider.CreateNetwork(t.Context(), b.cluster); err != nil {
		t.Fatal(err)
	}
	other := clusterFor(t, b.Subject, b.Prefix+"-two")
	wantError(t, b.Provider.CreateNetwork(t.Context(), other), provision.ErrSubnetTaken)
}

func testMissingImage(t *testing.T, b bench) {
	if err := b.Provider.Preflight(t.Context(), b.cluster); err != nil {
		t.Fatalf("with the image: %v", err)
	}
	b.cluster.Image = "bronze.local/missing:v0"
	err := b.Provider.Preflight(t.Context(), b.cluster)
	if err == nil || len(provision.Hints(err)) == 0 {
		t.Errorf("Preflight = %v with hints %q, want an error with a hint", err, provision.Hints(err))
	}
}

func testAppraises(t *testing.T, b bench) {
	appraiser, ok := b.Provider.(provision.Appraiser)
	if !ok {
		t.Skipf("%s does not tell what is in an image", b.Provider.Name())
	}
	if version, err := appraiser.KubernetesVersion(t.Context(), b.Image); err != nil || version != b.cluster.KubernetesVersion {
		t.Errorf("KubernetesVersion = %q, %v, want %s", version, err, b.cluster.KubernetesVersion)
	}
	if version, err := appraiser.KubernetesVersion(t.Context(), "bronze.local/missing:v0"); err == nil || len(provision.Hints(err)) == 0 {
		t.Errorf("KubernetesVersion of no image = %q, %v", version, err)
	}
}

func testCancelled(t *testing.T, b bench) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, b.Provider.CreateNetwork(cancelled, b.cluster), context.Canceled)
}

// testCutShort is what a create meets that is run again at once after one that died: the engine may still be making what
// that one asked for.
func testCutShort(t *testing.T, b bench) {
	for _, after := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
		short, cancel := context.WithTimeout(t.Context(), after)
		if err := b.Provider.CreateNetwork(short, b.cluster); err == nil {
			// Whether this one gets to its end does not matter.
			_ = b.Provider.CreateNode(short, b.cluster, b.cluster.Founder(), nil)
		}
		cancel()
		observed := b.create(t)
		if len(observed.Networks) != 1 || len(observed.Machines) != len(b.cluster.Nodes) {
			t.Errorf("cut short after %s, then: %+v", after, observed)
		}
		b.wipe(t)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}
