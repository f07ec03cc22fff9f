package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addresses() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

func TestBackendsOutliveARestartAndMayBeSetMeanwhile(t *testing.T) {
	kept := file{path: filepath.Join(t.TempDir(), "backends")}
	first := []netip.Addr{netip.MustParseAddr("10.5.0.2")}
	later := append(first, netip.MustParseAddr("10.5.0.3"))

	if err := kept.begin([]string{"10.5.0.2"}); err != nil {
		t.Fatal(err)
	}

	following := kept.follow()
	if diff := cmp.Diff(first, following(), addresses()); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}

	if err := kept.set([]string{"10.5.0.2", "10.5.0.3"}); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(later, following(), addresses()); diff != "" {
		t.Errorf("after set (-want +got):\n%s", diff)
	}

	if err := kept.begin([]string{"10.5.0.2"}); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(later, kept.follow()(), addresses()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}

	if err := os.WriteFile(kept.path, []byte("10.5"), 0o600); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(later, following(), addresses()); diff != "" {
		t.Errorf("while the file is spoilt (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoListOfBackendsIsRefused(t *testing.T) {
	for name, texts := range map[string][]string{
		"none":     nil,
		"a name":   {"control-plane-1"},
		"a port":   {"10.5.0.2:6443"},
		"too many": strings.Fields(strings.Repeat("10.5.0.2 ", maxBackends+1)),
	} {
		t.Run(name, func(t *testing.T) {
			kept := file{path: filepath.Join(t.TempDir(), "backends")}
			if err := kept.set(texts); err == nil {
				t.Error("taken")
			}

			if _, err := os.Stat(kept.path); err == nil {
				t.Error("a file was written")
			}
		})
	}
}
