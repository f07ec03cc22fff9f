package machineconfig

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/validation"
	"go.yaml.in/yaml/v4"

	"github.com/bronze-os/bronze/provision"
)

// Patch applies patches to a machine config of one or more documents, one after the other: strategic merge patches,
// which may delete with `$patch: delete`, and JSON patches, which mean the main document.
func Patch(config []byte, patches []string) ([]byte, error) {
	loaded, err := load(config)
	if err != nil {
		return nil, err
	}
	var asked []provision.Patch
	for _, body := range patches {
		asked = append(asked, provision.Patch{Body: body})
	}
	parsed, err := parsePatches(asked)
	if err != nil {
		return nil, err
	}
	const anyRole = ""
	if loaded, err = patchFor(anyRole, loaded, parsed); err != nil {
		return nil, err
	}
	patched, err := loaded.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return nil, fmt.Errorf("cannot encode the patched config: %w", err)
	}
	// What was merged may be of a shape that no config has; the node would refuse it with less to go by.
	if _, err := load(patched); err != nil {
		return nil, fmt.Errorf("patched config: %w", err)
	}
	return patched, nil
}

// Mode is where a machine config is to be used, for what it must say there.
type Mode string

// The modes of talosctl.
const (
	ModeMetal     Mode = "metal"
	ModeCloud     Mode = "cloud"
	ModeContainer Mode = "container"
)

// String is the mode's name.
func (m Mode) String() string { return string(m) }

// RequiresInstall tells machinery's validation that a disk to install to must be named.
func (m Mode) RequiresInstall() bool { return m == ModeMetal }

// InContainer tells machinery's validation that the node is a container.
func (m Mode) InContainer() bool { return m == ModeContainer }

// Validate checks a machine config for the mode. All faults are in the error, each with its path where it has one;
// strict makes faults of the warnings.
func Validate(config []byte, mode Mode, strict bool) (warnings []string, err error) {
	loaded, err := load(config)
	if err != nil {
		return nil, err
	}
	options := []validation.Option{validation.WithLocal()}
	if strict {
		options = append(options, validation.WithStrict())
	}
	warnings, err = loaded.Validate(mode, options...)
	return warnings, errors.Join(faults("", err)...)
}

// load reads a machine config. Its error has the faults of all documents, not of the first bad one only.
func load(config []byte) (machineryconfig.Provider, error) {
	loaded, err := configloader.NewFromBytes(config)
	if err == nil {
		return loaded, nil
	}
	if errors.Is(err, configloader.ErrNoConfig) {
		return nil, errors.New("cannot find a machine config: there is no document in it")
	}
	var all []error
	for _, document := range documents(config) {
		if _, err := configloader.NewFromBytes(document); err != nil && !errors.Is(err, configloader.ErrNoConfig) {
			all = append(all, faults("", err)...)
		}
	}
	if len(all) == 0 {
		// Each is well alone, such as two of the same name.
		all = faults("", err)
	}
	return nil, errors.Join(all...)
}

// mostDocuments bounds what documents makes: each is as long as all before it.
const mostDocuments = 64

// documents cuts a YAML stream into its documents, each below as many empty lines as there were lines before it, so that
// the line numbers of errors are those of the stream. A stream of too many is left whole.
func documents(config []byte) [][]byte {
	var cut [][]byte
	var current strings.Builder
	number := 0
	for line := range bytes.Lines(config) {
		if bytes.HasPrefix(line, []byte("---")) {
			cut = append(cut, []byte(current.String()))
			current.Reset()
			current.WriteString(strings.Repeat("\n", number))
		}
		if len(cut) >= mostDocuments {
			return [][]byte{config}
		}
		current.Write(line)
		number++
	}
	return append(cut, []byte(current.String()))
}

// faults takes an error of machinery apart: one error of one line for each fault, with the name of its document.
func faults(document string, err error) []error {
	var list listError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		whole, isError := list.(error)
		if isError {
			document += strings.TrimSuffix(err.Error(), whole.Error())
		}
		var all []error
		for _, fault := range list.WrappedErrors() {
			all = append(all, faults(document, fault)...)
		}
		return all
	default:
		if paths := unknownKeys(err.Error()); len(paths) > 0 {
			return paths
		}
		return []error{errors.New(document + oneLine(err).Error())}
	}
}

// unknownKeys reads the paths out of machinery's error about keys that no document has, which shows them as YAML.
func unknownKeys(message string) []error {
	_, shown, isSuch := strings.Cut(message, "unknown keys found during decoding:")
	var keys map[string]any
	if !isSuch || yaml.Unmarshal([]byte(shown), &keys) != nil {
		return nil
	}
	var all []error
	for _, path := range leaves("", keys) {
		all = append(all, fmt.Errorf("%s: cannot use a key that no machine config has", path))
	}
	return all
}
