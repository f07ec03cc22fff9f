package contexts

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const foreignTalos = `context: work
contexts:
  work:
    endpoints: [192.0.2.1]
    ca: Zm9yZWlnbg==
  town:
    endpoints: [192.0.2.2]
    ca: Zm9yZWlnbg==
`

func TestTalosconfigKeepsWhatIsThere(t *testing.T) {
	f := testFiles(t)
	write(t, talosPath(f), foreignTalos)
	before := loadTalos(t, f)

	must(t, f.AddTalosconfig(t.Context(), testAccess(t)))
	during := loadTalos(t, f)
	if during.Context != "town-1" {
		t.Errorf("context %q, want a number behind a name that is taken", during.Context)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:50000"}, during.Contexts["town-1"].Endpoints); diff != "" {
		t.Error(diff)
	}

	must(t, f.Remove(t.Context(), "town"))
	after := loadTalos(t, f)
	if diff := cmp.Diff(before.Contexts, after.Contexts); diff != "" {
		t.Error(diff)
	}
	if after.Context != "work" {
		t.Errorf("context %q, want the one from before", after.Context)
	}
}

func TestTalosconfigOfARepeatedCreateReplacesItsOwn(t *testing.T) {
	f, access := testFiles(t), testAccess(t)
	must(t, f.AddTalosconfig(t.Context(), access))
	must(t, f.AddTalosconfig(t.Context(), access))
	if names := slices.Collect(maps.Keys(loadTalos(t, f).Contexts)); len(names) != 1 {
		t.Errorf("contexts %v", names)
	}
}

func TestTalosconfigEntryThatBecameSomebodyElsesStays(t *testing.T) {
	f := testFiles(t)
	must(t, f.AddTalosconfig(t.Context(), testAccess(t)))
	write(t, talosPath(f), foreignTalos)
	must(t, f.Remove(t.Context(), "town"))
	if _, there := loadTalos(t, f).Contexts["town"]; !there {
		t.Error("removed a context with another authority")
	}
}
