package machineconfig

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch"
	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"

	"github.com/bronze-os/bronze/provision"
)

// patch is one strategic merge patch or one JSON patch (RFC 6902), each as JSON or YAML.
type patch struct {
	// label tells the user which of several it is.
	label  string
	role   provision.Role
	parsed configpatcher.Patch
}

func parsePatches(patches []provision.Patch) ([]patch, error) {
	var parsed []patch
	for i, p := range patches {
		label := strconv.Itoa(i + 1)
		if p.Role != "" {
			label += " (" + string(p.Role) + ")"
		}
		if strings.TrimSpace(p.Body) == "" {
			return nil, fmt.Errorf("cannot parse config patch %s: it is empty", label)
		}
		loaded, err := configpatcher.LoadPatch([]byte(p.Body))
		if err != nil {
			return nil, fmt.Errorf("cannot parse config patch %s: %w", label, oneLine(err))
		}
		parsed = append(parsed, patch{label: label, role: p.Role, parsed: loaded})
	}
	return parsed, nil
}

// patchFor applies those of the patches that are for the role.
func patchFor(role provision.Role, config machineryconfig.Provider, patches []patch) (machineryconfig.Provider, error) {
	for _, patch := range patches {
		if patch.role != "" && patch.role != role {
			continue
		}
		var err error
		if config, err = patch.apply(config); err != nil {
			return nil, fmt.Errorf("applying config patch %s: %w", patch.label, oneLine(err))
		}
	}
	return config, nil
}

func (p patch) apply(config machineryconfig.Provider) (machineryconfig.Provider, error) {
	switch parsed := p.parsed.(type) {
	case configpatcher.StrategicMergePatch:
		return configpatcher.StrategicMerge(config, parsed)
	case jsonpatch.Patch:
		return applyJSONPatch(config, parsed)
	default:
		return nil, errors.New("cannot tell what kind of patch it is")
	}
}

// applyJSONPatch patches the main document alone. Machinery refuses JSON patches on configs of several documents, as
// their paths name no document; every generated config has several, and the paths people write mean the main one.
func applyJSONPatch(config machineryconfig.Provider, patch jsonpatch.Patch) (machineryconfig.Provider, error) {
	main := config.RawV1Alpha1()
	if main == nil {
		return nil, errors.New("cannot apply a JSON patch to a config without a main document")
	}
	data, err := container.NewV1Alpha1(main).EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return nil, err
	}
	if err := checkOperations(patch); err != nil {
		return nil, err
	}
	if data, err = configpatcher.JSON6902(data, patch); err != nil {
		return nil, err
	}
	return withMain(config, data)
}

// checkOperations finds operations without a member that RFC 6902 demands: the library that applies them does not look.
func checkOperations(patch jsonpatch.Patch) error {
	for i, operation := range patch {
		wanted := []string{"path"}
		switch operation.Kind() {
		case "add", "replace", "test":
			wanted = append(wanted, "value")
		case "move", "copy":
			wanted = append(wanted, "from")
		}
		for _, member := range wanted {
			said, there := operation[member]
			if !there || (said == nil && member != "value") {
				return fmt.Errorf("cannot apply operation %d (%s): it has no %s", i+1, operation.Kind(), member)
			}
		}
	}
	return nil
}

// withMain is the config with that in place of its main document.
func withMain(config machineryconfig.Provider, data []byte) (machineryconfig.Provider, error) {
	loaded, err := configloader.NewFromBytes(data)
	if err != nil {
		return nil, err
	}
	documents := loaded.Documents()
	for _, document := range config.Documents() {
		if document.Kind() != config.RawV1Alpha1().Kind() {
			documents = append(documents, document)
		}
	}
	return container.New(documents...)
}
