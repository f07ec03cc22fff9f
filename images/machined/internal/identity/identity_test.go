package identity_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/bronze-os/bronze/images/machined/internal/identity"
)

func TestIdentityIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-identity.yaml")

	first, err := identity.Load(path)
	if err != nil {
		t.Fatal(err)
	}

	second, err := identity.Load(path)
	if err != nil {
		t.Fatal(err)
	}

	if first != second || len(first.MachineID()) != 32 {
		t.Errorf("loaded %v, then %v with machine ID %q", first, second, second.MachineID())
	}

	other, err := identity.Load(filepath.Join(t.TempDir(), "node-identity.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	if other.NodeID == first.NodeID || other.MachineID() == first.MachineID() {
		t.Error("two nodes are the same")
	}
}

func TestDamagedIdentityIsNotReplaced(t *testing.T) {
	for _, text := range []string{"nodeId: short\n", "nodeId: ''\n", "[\n"} {
		path := filepath.Join(t.TempDir(), "node-identity.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		if got, err := identity.Load(path); err == nil {
			t.Errorf("%q gave %v", text, got)
		}
	}
}
