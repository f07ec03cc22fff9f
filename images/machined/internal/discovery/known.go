package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// KnownPath is where a node remembers the control planes over a restart.
const KnownPath = boot.StatePath + "/control-planes.yaml"

// maxKnownBytes bounds the file; what is longer was not written by loadKnown's counterpart.
const maxKnownBytes = 64 << 10

// loadKnown reads the list, as of control planes that are not known to be there now. A file that is missing is an empty
// list.
func loadKnown(path string, now time.Time) ([]controlPlane, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("cannot read the known control planes: %w", err)
	}

	var list []controlPlane
	if len(text) > maxKnownBytes {
		return nil, fmt.Errorf("cannot use the known control planes in %s: the file has %d bytes", path, len(text))
	}

	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("cannot parse the known control planes in %s: %w", path, err)
	}

	list = slices.DeleteFunc(list, func(c controlPlane) bool { return !c.Address.IsValid() })

	return remember(list, nil, now), nil
}

func saveKnown(path string, list []controlPlane) error {
	text, err := yaml.Marshal(list)
	if err != nil {
		return fmt.Errorf("cannot encode the known control planes: %w", err)
	}

	return rootfs.File{Path: path, Content: string(text), Mode: 0o600}.Do()
}
