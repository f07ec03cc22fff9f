package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/bronze-os/bronze/images/node"
)

// containerArchive is the container image under all its names: an OCI layout in a tar archive, as containerd imports it.
// Its layer is not compressed: the layer of the node image around it is, and a node need not unpack it at first boot.
func containerArchive(container node.Container, inside tree) ([]byte, error) {
	l, err := plainLayer(inside)
	if err != nil {
		return nil, err
	}

	image, err := newImage(v1.Config{
		Entrypoint: container.Entrypoint,
		Env:        []string{"PATH=" + container.Path},
		WorkingDir: "/",
	}, []v1.Layer{l})
	if err != nil {
		return nil, err
	}

	files, err := layoutFiles(image, l, container.Names)
	if err != nil {
		return nil, err
	}

	var archive bytes.Buffer
	if err := files.writeTar(&archive); err != nil {
		return nil, err
	}

	return archive.Bytes(), nil
}

// layoutFiles is the OCI image layout of one image with one layer.
func layoutFiles(image v1.Image, l v1.Layer, names []string) (tree, error) {
	index, err := namedIndex(image, names)
	if err != nil {
		return nil, err
	}

	files := tree{}
	if err := files.addData("/index.json", layerBase, 0o644, index); err != nil {
		return nil, err
	}

	if err := files.addData("/oci-layout", layerBase, 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return nil, err
	}

	for _, blob := range []func() ([]byte, error){image.RawManifest, image.RawConfigFile, func() ([]byte, error) { return contentOf(l) }} {
		if err := files.addBlob(blob); err != nil {
			return nil, err
		}
	}

	return files, nil
}

func contentOf(l v1.Layer) ([]byte, error) {
	content, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()

	return io.ReadAll(content)
}

func (t tree) addBlob(blob func() ([]byte, error)) error {
	data, err := blob()
	if err != nil {
		return err
	}

	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return err
	}

	return t.addData("/blobs/sha256/"+digest.Hex, layerBase, 0o644, data)
}

// namedIndex is an index that holds the one image once for each name, annotated as containerd reads names.
func namedIndex(image v1.Image, names []string) ([]byte, error) {
	descriptor, err := partial.Descriptor(image)
	if err != nil {
		return nil, err
	}

	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}

	for _, name := range names {
		tag := strings.LastIndex(name, ":")
		if tag < 0 {
			return nil, fmt.Errorf("cannot use %q as an image's name: no tag", name)
		}

		named := *descriptor
		named.Platform = &v1.Platform{OS: "linux", Architecture: architecture}
		named.Annotations = map[string]string{
			"io.containerd.image.name":          name,
			"org.opencontainers.image.ref.name": name[tag+1:],
		}
		index.Manifests = append(index.Manifests, named)
	}

	return json.Marshal(index)
}
