// Package build makes the node image: the tree of images/node, the programs of images/components and this module, and a
// few Debian files become one reproducible OCI image, its SBOM, and a tagged image in an engine. Node is the recipe.
//
// It prints nothing; it reports steps. It imports no room of the host but images/node.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/bronze-os/bronze/images/node"
)

// Options says where the image is made from and what it is written to.
type Options struct {
	// Source is the repository's directory.
	Source string
	// CacheDir keeps components, packages and layers by their content; empty means bronze in the user's cache
	// directory.
	CacheDir string
	// OutputDir gets the OCI layout, the SBOM and the summary; empty means build/image in Source.
	OutputDir string
	// Report, where it is set, is called after each finished step, from one goroutine.
	Report func(Step)
}

// Step is a finished part of a build.
type Step struct {
	Name string
	// Cached tells that the result was there already.
	Cached bool
	Took   time.Duration
}

// Result is a node image that was built.
type Result struct {
	Summary
	// Image is the image itself, as Load wants it.
	Image v1.Image
	// OutputDir holds the OCI layout, sbom.spdx.json and summary.json.
	OutputDir string
}

// Node builds the node image. Whatever did not change since an earlier build is taken from the cache.
func Node(ctx context.Context, options Options) (Result, error) {
	manifest, err := node.Load()
	if err != nil {
		return Result{}, err
	}

	if options, err = options.complete(); err != nil {
		return Result{}, err
	}

	result, err := assemble(ctx, options, manifest)
	if err != nil {
		return Result{}, fmt.Errorf("building node image %s: %w", manifest.Reference(), err)
	}

	return result, nil
}

func assemble(ctx context.Context, options Options, manifest node.Manifest) (Result, error) {
	b := builder{source: options.Source, cache: cache{options.CacheDir}, report: options.Report}

	contents, err := b.contents(ctx, manifest)
	if err != nil {
		return Result{}, err
	}

	image, err := b.image(manifest, contents.tree)
	if err != nil {
		return Result{}, err
	}

	summary, err := summarise(manifest, contents.tree, image)
	if err != nil {
		return Result{}, err
	}

	bill, err := contents.bill(manifest)
	if err != nil {
		return Result{}, err
	}

	result := Result{Summary: summary, Image: image, OutputDir: options.OutputDir}

	return result, b.step("output", func() (bool, error) {
		return writeOutput(options.OutputDir, image, summary, bill)
	})
}

// complete fills in what was left empty, and makes paths absolute.
func (o Options) complete() (Options, error) {
	if o.CacheDir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("cannot find a cache directory: %w", err)
		}

		o.CacheDir = filepath.Join(user, "bronze")
	}

	if o.OutputDir == "" {
		o.OutputDir = filepath.Join(o.Source, "build", "image")
	}

	if o.Report == nil {
		o.Report = func(Step) {}
	}

	var errs [3]error

	o.Source, errs[0] = filepath.Abs(o.Source)
	o.CacheDir, errs[1] = filepath.Abs(o.CacheDir)
	o.OutputDir, errs[2] = filepath.Abs(o.OutputDir)

	if err := errors.Join(errs[:]...); err != nil {
		return o, err
	}

	if _, err := os.Stat(filepath.Join(o.Source, "images", "node", "node.yaml")); err != nil {
		return o, fmt.Errorf("cannot build from %s, it is no checkout of Bronze: %w", o.Source, err)
	}

	return o, nil
}

// builder does the work of one build.
type builder struct {
	source string
	cache  cache
	report func(Step)
}

// step does one part of the work and reports it; do tells whether the result was there already.
func (b builder) step(name string, do func() (cached bool, err error)) error {
	start := time.Now()

	cached, err := do()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}

	b.report(Step{Name: name, Cached: cached, Took: time.Since(start)})

	return nil
}
