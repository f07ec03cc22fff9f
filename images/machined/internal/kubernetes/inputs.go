package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// inputsAnnotation holds the digest of what a static pod reads at its start, beside its manifest.
const inputsAnnotation = "bronze-os.github.io/inputs"

// inputs answers that digest for a component, so that a change of any such file is one of the manifest, and the kubelet
// starts the pod over.
func inputs(secrets []rootfs.Step, component string) string {
	read := map[string]string{}

	for _, step := range secrets {
		file, ok := step.(rootfs.File)
		if ok && filepath.Dir(file.Path) == filepath.Join(SecretsDir, component) && !issued(filepath.Base(file.Path)) {
			read[file.Path] = file.Content
		}
	}

	digest := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(read)) {
		fmt.Fprintf(digest, "%s\x00%d\x00%s", path, len(read[path]), read[path])
	}

	return hex.EncodeToString(digest.Sum(nil))
}

// issued tells the files that differ each time that the node makes them, for the same config too.
func issued(name string) bool {
	return name == "kubeconfig" || strings.HasPrefix(name, "server.") || strings.Contains(name, "-client.")
}
