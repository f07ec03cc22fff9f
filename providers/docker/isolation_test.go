package docker

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeldCapabilities(t *testing.T) {
	for name, test := range map[string]struct {
		status string
		has    []string
		lacks  []string
		count  int
	}{
		"all": {"CapBnd:\t000001ffffffffff\n", []string{"CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_CHECKPOINT_RESTORE"}, nil, 41},
		"less one": {"CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n", []string{"CAP_SYS_NICE", "CAP_SYS_TIME"},
			[]string{"CAP_SYS_RESOURCE"}, 40},
		"one from after this was written": {"CapBnd:\t0000020000000001\n", []string{"CAP_CHOWN"}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			held, err := heldCapabilities(test.status)
			if err != nil {
				t.Fatal(err)
			}
			if len(held) != test.count {
				t.Errorf("%d held, want %d: %q", len(held), test.count, held)
			}
			for _, capability := range test.has {
				if !slices.Contains(held, capability) {
					t.Errorf("%s is not among %q", capability, held)
				}
			}
			for _, capability := range test.lacks {
				if slices.Contains(held, capability) {
					t.Errorf("%s is held", capability)
				}
			}
		})
	}
	for _, status := range []string{"", "CapBnd:\tnonsense\n"} {
		if held, err := heldCapabilities(status); err == nil {
			t.Errorf("of %q: %q, want an error", status, held)
		}
	}
}

func TestRefusalsOfAnEngineAreUnderstood(t *testing.T) {
	refusal := errors.New(`Error response from daemon: invalid CapAdd: unknown capability: "CAP_BPF"`)
	if capability, ok := unknownCapability(refusal); !ok || capability != "CAP_BPF" {
		t.Errorf("got %q, %v", capability, ok)
	}
	start := errors.New("OCI runtime create failed: unable to start container process: unable to apply caps: operation not permitted")
	if !cannotPrivilege(start) {
		t.Error("a start that lacks a capability is not understood")
	}
	for _, other := range []error{nil, errors.New("no such image")} {
		if capability, ok := unknownCapability(other); ok || cannotPrivilege(other) {
			t.Errorf("%v is taken for a refusal of %q", other, capability)
		}
	}
}

func TestWithoutDropsOneCapabilityAndLeavesTheOriginal(t *testing.T) {
	all := isolation{Capabilities: []string{"CAP_A", "CAP_B", "CAP_C"}, AppArmor: true}
	if diff := cmp.Diff(isolation{Capabilities: []string{"CAP_A", "CAP_C"}, AppArmor: true}, all.without("CAP_B")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(all.Capabilities) != 3 {
		t.Errorf("the original is now %q", all.Capabilities)
	}
}

func TestWhatAnEngineCannotDoIsRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.json")
	if diff := cmp.Diff(isolation{}, recall(path)); diff != "" {
		t.Errorf("before anything is known (-want +got):\n%s", diff)
	}
	known := isolation{Capabilities: []string{"CAP_A"}}
	if err := remember(path, known); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(known, recall(path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := remember("", known); err != nil {
		t.Errorf("without a place: %v", err)
	}
}
