// Package config finds the machine config of a node and keeps it: what STATE holds goes before what the platform
// brings, so that a node which was reconfigured stays so over a restart.
package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// MaxSize bounds a machine config, in bytes. Talos's own are of some kilobytes; inline manifests make them grow.
const MaxSize = 4 << 20

// ErrNone is in the error of Open where neither STATE nor the platform has a machine config.
var ErrNone = errors.New("no machine config")

// load answers the machine config at path, or else the one in userData, which it then writes to path (mode 0600).
// userData is multi-document YAML, plain or in standard base64.
func load(path, userData string) (config.Provider, error) {
	stored, err := os.ReadFile(path)
	if err == nil {
		return parse(stored, path)
	}

	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the machine config: %w", err)
	}

	if strings.TrimSpace(userData) == "" {
		return nil, ErrNone
	}

	document := decode(userData)

	provider, err := parse(document, "USERDATA")
	if err != nil {
		return nil, err
	}

	return provider, rootfs.File{Path: path, Content: string(document), Mode: 0o600}.Do()
}

// decode tells base64 from YAML by trying: a machine config holds colons, which base64 never does.
func decode(userData string) []byte {
	if document, err := base64.StdEncoding.DecodeString(strings.TrimSpace(userData)); err == nil {
		return document
	}

	return []byte(userData)
}

func parse(document []byte, source string) (config.Provider, error) {
	provider, err := Parse(document)
	if err != nil {
		return nil, fmt.Errorf("reading the machine config in %s: %w", source, err)
	}

	return provider, nil
}

// Parse reads a machine config, multi-document YAML, with all that the parts of a node take for granted of it. Whether
// its values make sense is for its Validate to say.
func Parse(document []byte) (config.Provider, error) {
	if len(document) > MaxSize {
		return nil, fmt.Errorf("cannot take a machine config of %d bytes: it may have %d", len(document), MaxSize)
	}

	if err := checkDepth(document); err != nil {
		return nil, err
	}

	provider, err := configloader.NewFromBytes(document)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the machine config: %w", err)
	}

	return provider, complete(provider)
}

// complete tells what is missing without which machinery's accessors have nothing to answer.
func complete(provider config.Provider) error {
	own := provider.RawV1Alpha1()

	switch {
	case own == nil || own.MachineConfig == nil || own.ClusterConfig == nil:
		return errors.New("the machine config has no document with machine and cluster")
	case own.ClusterConfig.ControlPlane == nil || own.ClusterConfig.ControlPlane.Endpoint == nil || own.ClusterConfig.ControlPlane.Endpoint.URL == nil:
		return errors.New("the machine config has no cluster.controlPlane.endpoint")
	default:
		return nil
	}
}

// RBAC tells whether the roles in clients' certificates count; they do unless machine.features.rbac is false. machinery
// reads the field and has no accessor for it.
func RBAC(provider config.Provider) bool {
	features, ok := provider.Machine().Features().(*v1alpha1.FeaturesConfig)

	return !ok || features.RBAC == nil || *features.RBAC
}
