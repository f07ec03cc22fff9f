package build

import (
	"slices"
	"testing"

	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/test/need"
)

// TestDockerTakesAnImageOnceAndKeepsWhatIsNamed loads the small image into a real engine and removes it again.
func TestDockerTakesAnImageOnceAndKeepsWhatIsNamed(t *testing.T) {
	engine, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()

	if _, err := engine.Ping(t.Context(), client.PingOptions{}); err != nil {
		need.Missing(t, "no Docker engine answers: %v", err)
	}

	result, _ := buildSmall(t, repository(t), t.TempDir())
	result.Reference = "bronze.local/build-test:v1"

	for _, want := range []bool{true, false} {
		loaded, err := Load(t.Context(), Docker{engine}, result)
		if loaded != want || err != nil {
			t.Fatalf("loaded %v, error %v; want %v", loaded, err, want)
		}
	}

	if err := (Docker{engine}).RemoveImage(t.Context(), result.ID); err != nil {
		t.Errorf("removing an image that has a name: %v", err)
	}

	list, err := List(t.Context(), Docker{engine}, "bronze.local/build-test")
	if err != nil || !slices.ContainsFunc(list, func(l Loaded) bool {
		return l.Reference == result.Reference && (l.ID == result.ID || l.ID == result.Digest)
	}) {
		t.Errorf("list is %v, error %v; want %s in it", list, err, result.Reference)
	}

	if _, err := engine.ImageRemove(t.Context(), result.Reference, client.ImageRemoveOptions{}); err != nil {
		t.Error(err)
	}

	if err := (Docker{engine}).RemoveImage(t.Context(), result.ID); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
}
