package contexts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

func TestStampsAreFoundWithoutTheStateDirectoryThatMadeThem(t *testing.T) {
	made := testFiles(t)
	write(t, kubePath(made), foreign)
	write(t, talosPath(made), foreignTalos)
	kubeBefore, talosBefore := loadKube(t, kubePath(made)), loadTalos(t, made)
	must(t, made.Add(t.Context(), testAccess(t)))
	must(t, os.RemoveAll(made.StateDir))

	other := Files{StateDir: filepath.Join(t.TempDir(), "other"), Environ: made.Environ}
	stamps, err := other.Stamps(t.Context())
	must(t, err)
	want := []provision.Stamp{{Cluster: "town", StateDir: made.StateDir}}
	if diff := cmp.Diff(want, stamps); diff != "" {
		t.Fatalf("stamps (-want +got):\n%s", diff)
	}
	must(t, other.RemoveStamped(t.Context(), stamps[0]))
	if diff := cmp.Diff(kubeBefore.Contexts, loadKube(t, kubePath(made)).Contexts); diff != "" {
		t.Errorf("the kubeconfig is not as it was:\n%s", diff)
	}
	if diff := cmp.Diff(talosBefore.Contexts, loadTalos(t, made).Contexts); diff != "" {
		t.Errorf("the talosconfig is not as it was:\n%s", diff)
	}
	stamps, err = other.Stamps(t.Context())
	if err != nil || len(stamps) > 0 {
		t.Errorf("stamps %v are left, %v", stamps, err)
	}
}

func TestStampsOfALedgerAlone(t *testing.T) {
	f := testFiles(t)
	must(t, f.AddTalosconfig(t.Context(), testAccess(t)))
	stamps, err := f.Stamps(t.Context())
	must(t, err)
	if diff := cmp.Diff([]provision.Stamp{{Cluster: "town", StateDir: f.StateDir}}, stamps); diff != "" {
		t.Fatalf("stamps (-want +got):\n%s", diff)
	}
	must(t, f.RemoveStamped(t.Context(), stamps[0]))
	if stamps, err := f.Stamps(t.Context()); err != nil || len(stamps) > 0 {
		t.Errorf("stamps %v are left, %v", stamps, err)
	}
	if left := loadTalos(t, f).Contexts; len(left) > 0 {
		t.Errorf("contexts %v are left", left)
	}
}

func TestRemovingOneStampLeavesTheOthers(t *testing.T) {
	mine := testFiles(t)
	other := Files{StateDir: filepath.Join(t.TempDir(), "other"), Environ: mine.Environ}
	must(t, mine.Add(t.Context(), testAccess(t)))
	must(t, other.Add(t.Context(), testAccess(t)))
	must(t, mine.RemoveStamped(t.Context(), provision.Stamp{Cluster: "town", StateDir: other.StateDir}))
	stamps, err := mine.Stamps(t.Context())
	must(t, err)
	if diff := cmp.Diff([]provision.Stamp{{Cluster: "town", StateDir: mine.StateDir}}, stamps); diff != "" {
		t.Errorf("stamps (-want +got):\n%s", diff)
	}
	if left := loadTalos(t, mine).Contexts; len(left) != 1 {
		t.Errorf("%d contexts of talosctl are left, want one", len(left))
	}
}
