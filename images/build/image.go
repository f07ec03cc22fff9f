package build

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/node"
)

// image packs a tree into the node image's layers.
func (b builder) image(manifest node.Manifest, all tree) (v1.Image, error) {
	var packed []v1.Layer

	for _, in := range layers() {
		err := b.step("layer "+in.String(), func() (hit bool, err error) {
			l, hit, err := b.cache.layer(in.String(), all.of(in))
			packed = append(packed, l)

			return hit, err
		})
		if err != nil {
			return nil, err
		}
	}

	return newImage(nodeConfig(manifest), packed)
}

func nodeConfig(manifest node.Manifest) v1.Config {
	return v1.Config{
		Entrypoint: []string{boot.InitPath},
		Env:        []string{"PATH=/usr/sbin:/usr/bin"},
		WorkingDir: "/",
		StopSignal: "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Bronze node",
			"org.opencontainers.image.version":  manifest.Bronze,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"bronze.version.containerd":         manifest.Containerd,
			"bronze.version.coredns":            manifest.CoreDNS,
			"bronze.version.etcd":               manifest.Etcd,
			"bronze.version.flannel":            manifest.Flannel,
			boot.LabelKubernetes:                manifest.Kubernetes,
			"bronze.version.runc":               manifest.Runc,
			"bronze.version.talos":              manifest.Talos,
		},
	}
}

func newImage(config v1.Config, packed []v1.Layer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)

	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		Created:      v1.Time{Time: epoch()},
		Architecture: architecture,
		OS:           "linux",
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}

	return mutate.AppendLayers(image, packed...)
}
