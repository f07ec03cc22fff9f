package docker

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCapabilitiesOfABoundingSet(t *testing.T) {
	for name, test := range map[string]struct {
		status string
		lacks  bool
		has    []string
		misses []string
		count  int
	}{
		"all": {"CapBnd:\t000001ffffffffff\n", false, []string{"CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_CHECKPOINT_RESTORE"}, nil, 41},
		"less one": {"CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n", true,
			[]string{"CAP_SYS_NICE", "CAP_SYS_TIME"}, []string{"CAP_SYS_RESOURCE"}, 40},
		"all, and one from after this was written": {"CapBnd:\t000003ffffffffff\n", false, []string{"CAP_CHOWN"}, nil, 41},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := boundingSet(test.status)
			if err != nil {
				t.Fatal(err)
			}
			if got := lacks(set, 40); got != test.lacks {
				t.Errorf("lacks = %v, want %v", got, test.lacks)
			}
			held := namesOf(set)
			if len(held) != test.count {
				t.Errorf("%d held, want %d: %q", len(held), test.count, held)
			}
			for _, capability := range test.has {
				if !slices.Contains(held, capability) {
					t.Errorf("%s is not among %q", capability, held)
				}
			}
			for _, capability := range test.misses {
				if slices.Contains(held, capability) {
					t.Errorf("%s is held", capability)
				}
			}
		})
	}
	for _, status := range []string{"", "CapBnd:\tnonsense\n"} {
		if set, err := boundingSet(status); err == nil {
			t.Errorf("of %q: %x, want an error", status, set)
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
	if known, ok := recall(path); ok {
		t.Errorf("before anything is known: %+v", known)
	}
	known := isolation{Capabilities: []string{"CAP_A"}}
	if err := remember(path, known); err != nil {
		t.Fatal(err)
	}
	recalled, ok := recall(path)
	if diff := cmp.Diff(known, recalled); diff != "" || !ok {
		t.Errorf("recalled %v (-want +got):\n%s", ok, diff)
	}
	if err := remember("", known); err != nil {
		t.Errorf("without a place: %v", err)
	}
}
