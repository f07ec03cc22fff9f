package machineconfig

import (
	"errors"
	"fmt"
	"os"
	"strings"

	jsonpatch "github.com/evanphx/json-patch"
	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"

	"github.com/bronze-os/bronze/provision"
)

// Patches change the generated machine configs: All first, then those of the node's role, each list in order.
type Patches struct {
	All           []Patch
	ControlPlanes []Patch
	Workers       []Patch
}

// Patch is one strategic merge patch or one JSON patch (RFC 6902, as JSON or YAML).
type Patch struct {
	source string
	parsed configpatcher.Patch
}

// ParsePatch reads one patch: `@path` names a file, anything else is the patch itself.
func ParsePatch(value string) (Patch, error) {
	source, content := "inline", []byte(value)
	if path, isFile := strings.CutPrefix(value, "@"); isFile {
		var err error
		if content, err = os.ReadFile(path); err != nil {
			return Patch{}, fmt.Errorf("cannot read config patch: %w", err)
		}
		source = path
	}
	parsed, err := configpatcher.LoadPatch(content)
	if err != nil {
		return Patch{}, fmt.Errorf("cannot parse config patch (%s): %w", source, oneLine(err))
	}
	return Patch{source: source, parsed: parsed}, nil
}

// ParsePatches reads each of values as ParsePatch does.
func ParsePatches(values []string) ([]Patch, error) {
	var patches []Patch
	for _, value := range values {
		patch, err := ParsePatch(value)
		if err != nil {
			return nil, err
		}
		patches = append(patches, patch)
	}
	return patches, nil
}

func (p Patches) forRole(role provision.Role) []Patch {
	own := p.Workers
	if role == provision.ControlPlane {
		own = p.ControlPlanes
	}
	return append(append([]Patch(nil), p.All...), own...)
}

func (p Patches) apply(config machineryconfig.Provider, role provision.Role) (machineryconfig.Provider, error) {
	for _, patch := range p.forRole(role) {
		var err error
		if config, err = patch.apply(config); err != nil {
			return nil, fmt.Errorf("applying config patch (%s): %w", patch.source, oneLine(err))
		}
	}
	return config, nil
}

func (p Patch) apply(config machineryconfig.Provider) (machineryconfig.Provider, error) {
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
	if data, err = configpatcher.JSON6902(data, patch); err != nil {
		return nil, err
	}
	patched, err := configloader.NewFromBytes(data)
	if err != nil {
		return nil, err
	}
	documents := patched.Documents()
	for _, document := range config.Documents() {
		if document.Kind() != main.Kind() {
			documents = append(documents, document)
		}
	}
	return container.New(documents...)
}
