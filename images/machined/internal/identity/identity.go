// Package identity keeps what tells this node from every other, one of the same name included: a random ID on the STATE
// volume, in the form that Talos keeps it.
package identity

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jxskiss/base62"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"sigs.k8s.io/yaml"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// Path is where the identity lies.
const Path = boot.StatePath + "/" + constants.NodeIdentityFilename

const (
	nodeIDBytes    = 32
	machineIDBytes = 16
)

// Identity is the node's own. Load makes or reads one.
type Identity struct {
	// NodeID is nodeIDBytes random bytes in base62.
	NodeID string `json:"nodeId"`
}

// Load reads the identity at path, or makes one and writes it there.
func Load(path string) (Identity, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}

	if err != nil {
		return Identity{}, fmt.Errorf("cannot read the node's identity: %w", err)
	}

	var identity Identity
	if err := yaml.Unmarshal(text, &identity); err != nil {
		return Identity{}, fmt.Errorf("cannot parse the node's identity in %s: %w", path, err)
	}

	if id, err := base62.DecodeString(identity.NodeID); err != nil || len(id) < machineIDBytes {
		return Identity{}, fmt.Errorf("cannot use the node's identity in %s: %q is no node ID", path, identity.NodeID)
	}

	return identity, nil
}

func create(path string) (Identity, error) {
	id := make([]byte, nodeIDBytes)
	if _, err := rand.Read(id); err != nil {
		return Identity{}, fmt.Errorf("cannot make a node ID: %w", err)
	}

	identity := Identity{NodeID: base62.EncodeToString(id)}

	text, err := yaml.Marshal(identity)
	if err != nil {
		return Identity{}, fmt.Errorf("cannot encode the node's identity: %w", err)
	}

	return identity, rootfs.File{Path: path, Content: string(text), Mode: 0o600}.Do()
}

// MachineID is what Kubernetes shows as the Node's machine ID: the first 16 bytes of the node ID, in hexadecimal.
func (i Identity) MachineID() string {
	id, err := base62.DecodeString(i.NodeID)
	if err != nil || len(id) < machineIDBytes {
		return ""
	}

	return hex.EncodeToString(id[:machineIDBytes])
}
