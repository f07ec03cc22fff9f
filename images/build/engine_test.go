package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/google/go-cmp/cmp"
)

// memoryEngine keeps images as an engine does: by ID, and names that point to IDs.
type memoryEngine struct {
	names  map[string]string
	images []string
	loads  int
	// full is the error of an engine that stops reading.
	full error
}

func (e *memoryEngine) ImageID(_ context.Context, reference string) (string, error) {
	return e.names[reference], nil
}

func (e *memoryEngine) LoadImages(_ context.Context, archive io.Reader) error {
	if e.full != nil {
		_, err := io.CopyN(io.Discard, archive, 1)

		return errors.Join(err, e.full)
	}

	content, err := io.ReadAll(archive)
	if err != nil {
		return err
	}

	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }

	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		return err
	}

	for _, descriptor := range manifest {
		for _, tag := range descriptor.RepoTags {
			if err := e.load(opener, tag); err != nil {
				return err
			}
		}
	}

	e.loads++

	return nil
}

func (e *memoryEngine) load(opener tarball.Opener, reference string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}

	image, err := tarball.Image(opener, &tag)
	if err != nil {
		return err
	}

	id, err := idOf(image)
	if err != nil {
		return err
	}

	e.names[reference] = id
	if !slices.Contains(e.images, id) {
		e.images = append(e.images, id)
	}

	return nil
}

// idOf reads all layers, so that a layer which is not what its digest says is found.
func idOf(image v1.Image) (string, error) {
	layers, err := image.Layers()
	if err != nil {
		return "", err
	}

	for _, l := range layers {
		content, err := l.Uncompressed()
		if err != nil {
			return "", err
		}

		if _, err := io.Copy(io.Discard, content); err != nil {
			return "", err
		}
	}

	id, err := image.ConfigName()

	return id.String(), err
}

func (e *memoryEngine) RemoveImage(_ context.Context, id string) error {
	e.images = slices.DeleteFunc(e.images, func(there string) bool { return there == id })

	return nil
}

func (e *memoryEngine) ListImages(context.Context, string) ([]Loaded, error) {
	var images []Loaded
	for reference, id := range e.names {
		images = append(images, Loaded{Reference: reference, ID: id})
	}

	return images, nil
}

func TestLoadGivesTheEngineAnImageOnce(t *testing.T) {
	result, _ := buildSmall(t, repository(t), t.TempDir())
	engine := &memoryEngine{names: map[string]string{}}

	for _, want := range []bool{true, false} {
		loaded, err := Load(t.Context(), engine, result)
		if loaded != want || err != nil {
			t.Errorf("loaded %v, error %v; want %v", loaded, err, want)
		}
	}

	if got := engine.names[result.Reference]; got != result.ID || engine.loads != 1 {
		t.Errorf("engine has %q after %d loads, want %q after one", got, engine.loads, result.ID)
	}

	list, err := List(t.Context(), engine, "bronze.local/small")
	want := []Loaded{{Reference: result.Reference, ID: result.ID}}

	if difference := cmp.Diff(want, list); difference != "" || err != nil {
		t.Errorf("list (-want +got):\n%s error %v", difference, err)
	}
}

func TestLoadRemovesTheImageThatHadTheName(t *testing.T) {
	result, _ := buildSmall(t, repository(t), t.TempDir())
	engine := &memoryEngine{names: map[string]string{result.Reference: "sha256:old"}, images: []string{"sha256:old"}}

	if _, err := Load(t.Context(), engine, result); err != nil {
		t.Fatal(err)
	}

	if difference := cmp.Diff([]string{result.ID}, engine.images); difference != "" {
		t.Errorf("images (-want +got):\n%s", difference)
	}
}

func TestLoadEndsWhereTheEngineStopsReading(t *testing.T) {
	result, _ := buildSmall(t, repository(t), t.TempDir())
	full := errors.New("no space left on device")

	_, err := Load(t.Context(), &memoryEngine{full: full}, result)
	if !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
}
