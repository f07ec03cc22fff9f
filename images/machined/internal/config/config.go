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

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// ErrNone is in the error of Load where neither STATE nor the platform has a machine config.
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
	provider, err := configloader.NewFromBytes(document)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the machine config in %s: %w", source, err)
	}

	if provider.Machine() == nil || provider.Cluster() == nil {
		return nil, fmt.Errorf("the machine config in %s has no v1alpha1 document with machine and cluster", source)
	}

	return provider, nil
}
