// Package machineconfig turns a cluster into what its nodes are configured with: one bundle of secrets, one machine
// config per node, and the two client configs (talosconfig, kubeconfig) that the secrets sign. Every function is pure
// but for randomness and the clock; nothing here touches disk, engine or network. It may import machinery's config
// packages and client-go's kubeconfig types, and no provider.
package machineconfig

import (
	"bytes"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"go.yaml.in/yaml/v4"
)

// Secrets are the keys and tokens that every machine config of one cluster shares. They are stored once, so that a
// repeated create makes the same cluster again.
type Secrets struct {
	bundle *secrets.Bundle
}

// newSecrets makes fresh secrets whose certificates are valid from now on for ten years.
func newSecrets(now time.Time) (Secrets, error) {
	// Later contracts sign service accounts with RSA 4096, which takes a second to make; ECDSA is as good for the
	// API server and takes a millisecond. Nothing else in the bundle differs between 1.6 and the newest contract.
	bundle, err := secrets.NewBundle(secrets.NewFixedClock(now), config.TalosVersion1_6)
	if err != nil {
		return Secrets{}, fmt.Errorf("generating secrets: %w", err)
	}
	return Secrets{bundle: bundle}, nil
}

// ParseSecrets reads what Generator.NewSecrets made, or `talosctl gen secrets`.
func ParseSecrets(data []byte) (Secrets, error) {
	bundle := &secrets.Bundle{Clock: secrets.NewClock()}
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(bundle); err != nil {
		return Secrets{}, fmt.Errorf("cannot parse secrets: %w", err)
	}
	if err := bundle.Validate(); err != nil {
		return Secrets{}, fmt.Errorf("cannot use secrets: %w", oneLine(err))
	}
	return Secrets{bundle: bundle}, nil
}

func (s Secrets) yaml() ([]byte, error) {
	data, err := yaml.Marshal(s.bundle)
	if err != nil {
		return nil, fmt.Errorf("cannot encode secrets: %w", err)
	}
	return data, nil
}
