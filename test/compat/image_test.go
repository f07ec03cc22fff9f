//go:build e2e

package compat

import (
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeImage makes an archive of an image that nobody has seen before.
func writeImage(path, reference string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}

	image, err := random.Image(1<<10, 1)
	if err != nil {
		return err
	}

	config, err := image.ConfigFile()
	if err != nil {
		return err
	}

	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH

	// A runtime passes over images of other platforms, those of none among them.
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}

	return tarball.WriteToFile(path, tag, image)
}
