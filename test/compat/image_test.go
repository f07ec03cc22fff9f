//go:build e2e

package compat

import (
	"github.com/google/go-containerregistry/pkg/name"
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

	return tarball.WriteToFile(path, tag, image)
}
