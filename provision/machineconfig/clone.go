package machineconfig

import (
	"fmt"

	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/provision"
)

// Clone makes of a node's machine config that of another node of its role: it takes out what belongs to the source alone
// (see individual.go), then applies the patches, and validates the result for a container node.
func Clone(config []byte, source provision.Node, patches []string) ([]byte, error) {
	kind, err := machine.ParseType(string(source.Role))
	if err != nil {
		return nil, fmt.Errorf("cannot use role %q: %w", source.Role, err)
	}
	loaded, err := load(config)
	if err != nil {
		return nil, err
	}
	// Told here, as validate would blame a patch.
	if loaded.Machine() == nil || loaded.Cluster() == nil || loaded.Machine().Type() != kind {
		return nil, fmt.Errorf("cannot clone the machine config of %q: it is not that of a %s", source.Name, source.Role)
	}
	if loaded, err = impersonal(loaded, source); err != nil {
		return nil, fmt.Errorf("cannot clone the machine config of %q: %w", source.Name, err)
	}
	return patched(loaded, source.Role, kind, patches)
}

// PatchFor applies patches to the machine config of a role, and validates the result for a container node.
func PatchFor(config []byte, role provision.Role, patches []string) ([]byte, error) {
	kind, err := machine.ParseType(string(role))
	if err != nil {
		return nil, fmt.Errorf("cannot use role %q: %w", role, err)
	}
	loaded, err := load(config)
	if err != nil {
		return nil, err
	}
	return patched(loaded, role, kind, patches)
}

func patched(config machineryconfig.Provider, role provision.Role, kind machine.Type, patches []string) ([]byte, error) {
	var asked []provision.Patch
	for _, body := range patches {
		asked = append(asked, provision.Patch{Body: body})
	}
	parsed, err := parsePatches(asked)
	if err != nil {
		return nil, err
	}
	if config, err = patchFor(role, config, parsed); err != nil {
		return nil, err
	}
	if err := validate(config, kind); err != nil {
		return nil, err
	}
	text, err := config.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return nil, fmt.Errorf("cannot encode the machine config: %w", err)
	}
	return text, nil
}

// impersonal is the config without what belongs to one node.
func impersonal(config machineryconfig.Provider, source provision.Node) (machineryconfig.Provider, error) {
	var kept []machineryDocument
	for _, document := range config.Clone().Documents() {
		if isOfOneNode(document) {
			continue
		}
		forgetAddresses(document)
		kept = append(kept, document)
	}
	whole, err := container.New(kept...)
	if err != nil {
		return nil, err
	}
	config, err = whole.PatchV1Alpha1(individual{source}.forget)
	if err != nil {
		return nil, err
	}
	return withoutOldKeys(config)
}
