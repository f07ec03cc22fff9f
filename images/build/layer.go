package build

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// packedLayer is a layer whose uncompressed form is written anew from the tree, which is faster than unpacking it.
type packedLayer struct {
	tree           tree
	diffID, digest v1.Hash
	size           int64
	// blob opens the compressed form.
	blob      func() (io.ReadCloser, error)
	mediaType types.MediaType
}

func (l packedLayer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l packedLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l packedLayer) Size() (int64, error)                { return l.size, nil }
func (l packedLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l packedLayer) Compressed() (io.ReadCloser, error)  { return l.blob() }

func (l packedLayer) Uncompressed() (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(l.tree.writeTar(writer)) }()

	return reader, nil
}

// layer answers a part of a tree as a gzip layer; compressing is what takes long, so that is cached by content.
func (c cache) layer(name string, part tree) (l v1.Layer, hit bool, err error) {
	diffID, _, err := hashOf(part.writeTar)
	if err != nil {
		return nil, false, err
	}

	dir, hit, err := c.result("layers", name, diffID.Hex, func(dir string) error {
		return compress(filepath.Join(dir, "layer.tar.gz"), part)
	})
	if err != nil {
		return nil, false, err
	}

	blob := func() (io.ReadCloser, error) { return os.Open(filepath.Join(dir, "layer.tar.gz")) }

	digest, size, err := hashOf(func(w io.Writer) error {
		content, err := blob()
		if err != nil {
			return err
		}
		defer content.Close()

		_, err = io.Copy(w, content)

		return err
	})

	return packedLayer{part, diffID, digest, size, blob, types.OCILayer}, hit, err
}

func compress(name string, part tree) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()

	// The default level: the best one takes three times as long and saves one part in a hundred.
	compressor := gzip.NewWriter(file)
	if err := part.writeTar(compressor); err != nil {
		return err
	}

	if err := compressor.Close(); err != nil {
		return err
	}

	return file.Close()
}

// plainLayer is a part of a tree as an uncompressed layer, in memory.
func plainLayer(part tree) (v1.Layer, error) {
	var content bytes.Buffer
	if err := part.writeTar(&content); err != nil {
		return nil, err
	}

	digest, size, err := hashOf(part.writeTar)
	blob := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil }

	return packedLayer{part, digest, digest, size, blob, types.OCIUncompressedLayer}, err
}

// hashOf is the digest and the size in bytes of what write writes.
func hashOf(write func(io.Writer) error) (v1.Hash, int64, error) {
	sum, count := sha256.New(), counter(0)
	if err := write(io.MultiWriter(sum, &count)); err != nil {
		return v1.Hash{}, 0, fmt.Errorf("cannot hash: %w", err)
	}

	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}, int64(count), nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))

	return len(p), nil
}
