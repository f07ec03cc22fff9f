package build

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/node"
)

func TestOnlyPackagesWithTheWantedChecksumAreKept(t *testing.T) {
	b, came := builder{cache: cache{t.TempDir()}}, t.TempDir()
	write(t, filepath.Join(b.cache.dir, "packages", "other.deb"), "of an earlier build")
	write(t, filepath.Join(came, "nftables_1.0.6-2_amd64.deb"), "as pinned")
	write(t, filepath.Join(came, "kmod_30-1_amd64.deb"), "not what was pinned")

	sum := sha256.Sum256([]byte("as pinned"))
	nftables := node.Package{Name: "nftables", Version: "1.0.6-2", SHA256: hex.EncodeToString(sum[:])}
	kmod := node.Package{Name: "kmod", Version: "30-1", SHA256: strings.Repeat("0", 64)}

	missing, err := b.keep(came, []node.Package{nftables, kmod})
	if difference := cmp.Diff([]node.Package{kmod}, missing); difference != "" || err != nil {
		t.Errorf("missing (-want +got):\n%s error %v", difference, err)
	}

	for p, want := range map[string]bool{b.debPath(nftables): true, b.debPath(kmod): false} {
		if _, err := os.Stat(p); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", p, err == nil, want)
		}
	}
}

func TestAnUnservedPackageIsNamedWithTheCure(t *testing.T) {
	err := unservedError(node.Package{Name: "nftables", Version: "1.0.6-2", SHA256: "abcd"}, "E: Version not found")

	for _, want := range []string{"nftables=1.0.6-2", "abcd", "images/node/node.yaml", "apt-cache policy nftables", "E: Version not found"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %q", err, want)
		}
	}
}

func TestAMissingPackageOfTheHostIsNamedWithTheCure(t *testing.T) {
	_, err := hostVersions(t.Context(), []string{"bronze-no-such-package"})
	if err == nil || !strings.Contains(err.Error(), "apt-get install bronze-no-such-package") {
		t.Errorf("error %v, want one that says what to install", err)
	}
}
