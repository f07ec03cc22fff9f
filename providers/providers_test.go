package providers_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/providers"
	"github.com/bronze-os/bronze/provision"
)

func TestOpenKnowsEveryNameItLists(t *testing.T) {
	for _, name := range providers.Names() {
		provider, err := providers.Open(name, "")
		if err != nil {
			t.Fatal(err)
		}
		if provider.Name() != name {
			t.Errorf("Open(%q) is %q", name, provider.Name())
		}
	}
}

func TestOpenOfAnUnknownNameHintsAtThoseThatAre(t *testing.T) {
	_, err := providers.Open("podman", "")
	if hints := provision.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], "docker") {
		t.Errorf("error %v with hints %q", err, hints)
	}
}

func TestAnEngineThatDoesNotAnswerIsHintedAt(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none.sock"))
	provider, err := providers.Open("docker", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Preflight": provider.Preflight(t.Context(), provision.Cluster{}),
		"Observe":   func() error { _, err := provider.Observe(t.Context(), ""); return err }(),
	} {
		if hints := provision.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], "DOCKER_HOST") {
			t.Errorf("%s: error %v with hints %q", name, err, hints)
		}
	}
}
