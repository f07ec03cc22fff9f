package build

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/bronze-os/bronze/images/node"
)

// The image's budget in bytes: the sum of its files' sizes, and of its compressed layers.
const (
	UnpackedBudget   = 320 * 1000 * 1000
	CompressedBudget = 110 * 1000 * 1000
)

// biggest is how many of the largest files a summary names.
const biggest = 10

// Summary tells what an image is and what its size is made of.
type Summary struct {
	// Reference is its name in an engine.
	Reference string `json:"reference"`
	// Digest is the OCI manifest's, ID the config's, which engines know an image by.
	Digest string `json:"digest"`
	ID     string `json:"id"`
	// UnpackedBytes is the sum of the files' sizes, CompressedBytes that of the layers.
	UnpackedBytes   int64  `json:"unpackedBytes"`
	CompressedBytes int64  `json:"compressedBytes"`
	Biggest         []File `json:"biggest"`
}

// File is one file of an image.
type File struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// CheckBudget is an error for an image that is larger than it may be.
func (s Summary) CheckBudget() error {
	var errs []error

	if s.UnpackedBytes > UnpackedBudget {
		errs = append(errs, fmt.Errorf("image has %d bytes unpacked, the budget is %d", s.UnpackedBytes, UnpackedBudget))
	}

	if s.CompressedBytes > CompressedBudget {
		errs = append(errs, fmt.Errorf("image has %d bytes compressed, the budget is %d", s.CompressedBytes, CompressedBudget))
	}

	return errors.Join(errs...)
}

func summarise(manifest node.Manifest, all tree, image v1.Image) (Summary, error) {
	digest, err := image.Digest()
	if err != nil {
		return Summary{}, err
	}

	id, err := image.ConfigName()
	if err != nil {
		return Summary{}, err
	}

	summary := Summary{
		Reference:     manifest.Reference(),
		Digest:        digest.String(),
		ID:            id.String(),
		UnpackedBytes: all.size(),
		Biggest:       all.biggest(biggest),
	}

	packed, err := image.Manifest()
	if err != nil {
		return Summary{}, err
	}

	for _, l := range packed.Layers {
		summary.CompressedBytes += l.Size
	}

	return summary, nil
}

func (t tree) biggest(count int) []File {
	var files []File
	for name, e := range t {
		files = append(files, File{Path: name, Bytes: e.size})
	}

	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path))
	})

	return files[:min(count, len(files))]
}

// writeOutput writes the OCI layout, the SBOM and the summary to dir, unless those of this image are there.
func writeOutput(dir string, image v1.Image, summary Summary, bill bill) (cached bool, err error) {
	files := map[string]any{"summary.json": summary, "sbom.spdx.json": bill}

	encoded := map[string][]byte{}
	for name, value := range files {
		if encoded[name], err = json.MarshalIndent(value, "", "  "); err != nil {
			return false, err
		}
	}

	if sameFiles(dir, encoded) {
		return true, nil
	}

	return false, replaceDirectory(dir, func(scratch string) error {
		for name, content := range encoded {
			if err := os.WriteFile(filepath.Join(scratch, name), content, 0o644); err != nil {
				return err
			}
		}

		return writeLayout(filepath.Join(scratch, "oci"), image, summary.Reference)
	})
}

func sameFiles(dir string, wanted map[string][]byte) bool {
	if _, err := os.Stat(filepath.Join(dir, "oci", "index.json")); err != nil {
		return false
	}

	for name, content := range wanted {
		if there, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(there) != string(content) {
			return false
		}
	}

	return true
}

// replaceDirectory fills a new directory and puts it in the place of dir.
func replaceDirectory(dir string, fill func(scratch string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}

	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	if err := errors.Join(os.Chmod(scratch, 0o755), fill(scratch)); err != nil {
		return err
	}

	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	return os.Rename(scratch, dir)
}

func writeLayout(dir string, image v1.Image, reference string) error {
	path, err := layout.Write(dir, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return err
	}

	return path.AppendImage(image, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": reference,
	}))
}
