package build

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Engine is where node images are loaded to.
type Engine interface {
	// ImageID answers the ID (config digest) of the image of that name, empty where there is none.
	ImageID(ctx context.Context, reference string) (string, error)
	// LoadImages reads images in the archive format of `docker save`.
	LoadImages(ctx context.Context, archive io.Reader) error
	// RemoveImage removes an image that has no name and no container; any other it leaves, without an error.
	RemoveImage(ctx context.Context, id string) error
	// ListImages answers the images of a repository.
	ListImages(ctx context.Context, repository string) ([]Loaded, error)
}

// Loaded is a node image that an engine has.
type Loaded struct {
	Reference string    `json:"reference"`
	ID        string    `json:"id"`
	Created   time.Time `json:"created"`
	// Bytes is the size of its unpacked layers.
	Bytes int64 `json:"bytes"`
	// Kubernetes is the version in it.
	Kubernetes string `json:"kubernetes"`
}

// Load gives the engine the image under its reference, unless it has just that, and removes the one that had the name before if
// nothing uses it. It answers whether it had to.
func Load(ctx context.Context, engine Engine, result Result) (loaded bool, err error) {
	there, err := engine.ImageID(ctx, result.Reference)
	if err != nil {
		return false, fmt.Errorf("loading image %s: %w", result.Reference, err)
	}

	if there == result.ID || there == result.Digest {
		return false, nil
	}

	if err := stream(ctx, engine, result.Reference, result.Image); err != nil {
		return false, fmt.Errorf("loading image %s: %w", result.Reference, err)
	}

	if there == "" {
		return true, nil
	}

	if err := engine.RemoveImage(ctx, there); err != nil {
		return true, fmt.Errorf("removing the former image %s: %w", there, err)
	}

	return true, nil
}

// stream writes the image's archive while the engine reads it.
func stream(ctx context.Context, engine Engine, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return err
	}

	reader, writer := io.Pipe()
	written := make(chan error, 1)

	go func() {
		err := tarball.Write(tag, image, writer)
		writer.CloseWithError(err)
		written <- err
	}()

	err = engine.LoadImages(ctx, reader)
	// An engine that stops reading early must not leave the writer waiting.
	reader.CloseWithError(io.ErrClosedPipe)

	if wrote := <-written; err == nil {
		err = wrote
	}

	return err
}

// List answers the node images that the engine has.
func List(ctx context.Context, engine Engine, repository string) ([]Loaded, error) {
	images, err := engine.ListImages(ctx, repository)
	if err != nil {
		return nil, fmt.Errorf("listing images of %s: %w", repository, err)
	}

	return images, nil
}
