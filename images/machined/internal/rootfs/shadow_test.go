package rootfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

func TestShadowChangesAFileOfTheEngineAndGivesItBack(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("the engine's\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	inMountNamespace(t, func() {
		// What is kept lies below /run, which is the host's here.
		if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
			t.Error(err)
			return
		}

		for _, step := range []struct {
			shadow  rootfs.Shadow
			want    string
			covered bool
		}{
			{rootfs.Shadow{}, "the engine's\n", false},
			{rootfs.Shadow{Content: "ours\n", Append: true}, "the engine's\nours\n", true},
			{rootfs.Shadow{Content: "other\n", Append: true}, "the engine's\nother\n", true},
			{rootfs.Shadow{Content: "instead\n"}, "instead\n", true},
			{rootfs.Shadow{}, "the engine's\n", true},
		} {
			step.shadow.Path = hosts

			if err := step.shadow.Do(); err != nil {
				t.Error(err)
				return
			}

			if got, err := os.ReadFile(hosts); err != nil || string(got) != step.want {
				t.Errorf("after %+v: %q, %v", step.shadow, got, err)
			}

			if covered := rootfs.Original(hosts) != hosts; covered != step.covered {
				t.Errorf("after %+v: covered is %t", step.shadow, covered)
			}

			if got, err := os.ReadFile(rootfs.Original(hosts)); err != nil || string(got) != "the engine's\n" {
				t.Errorf("original after %+v: %q, %v", step.shadow, got, err)
			}
		}
	})

	if got, err := os.ReadFile(hosts); err != nil || string(got) != "the engine's\n" {
		t.Errorf("outside: %q, %v", got, err)
	}
}
