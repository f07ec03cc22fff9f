package machineconfig

import (
	"fmt"

	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"go.yaml.in/yaml/v4"
)

// tree is a part of a document as YAML has it.
type tree = map[string]any

// withoutOldKeys takes out of the main document what belongs to one node under keys that documents of their own replace
// in newer configs. It works on the YAML, as machinery keeps those keys for reading only.
func withoutOldKeys(config machineryconfig.Provider) (machineryconfig.Provider, error) {
	data, err := container.NewV1Alpha1(config.RawV1Alpha1()).EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return nil, err
	}
	var main tree
	if err := yaml.Unmarshal(data, &main); err != nil {
		return nil, fmt.Errorf("cannot read the main document: %w", err)
	}
	if !forgetOldKeys(main) {
		return config, nil
	}
	if data, err = yaml.Marshal(main); err != nil {
		return nil, fmt.Errorf("cannot write the main document: %w", err)
	}
	return withMain(config, data)
}

// forgetOldKeys tells whether there were any.
func forgetOldKeys(main tree) (found bool) {
	network := below(main, "machine", "network")
	found = drop(network, "hostname")
	for _, device := range each(network, "interfaces") {
		found = drop(device, "addresses", "cidr", "wireguard") || found
		found = drop(below(device, "dhcpOptions"), "duidv6") || found
		for _, vlan := range each(device, "vlans") {
			found = drop(vlan, "addresses", "cidr") || found
		}
	}
	etcd := below(main, "cluster", "etcd")
	if subnet, _ := etcd["subnet"].(string); isHost(subnet) {
		found = drop(etcd, "subnet")
	}
	return found
}

// below is the part of a tree at a path; nil where there is none, which reads as an empty one.
func below(part tree, path ...string) tree {
	for _, key := range path {
		part, _ = part[key].(tree)
	}
	return part
}

// each are the parts in a list.
func each(part tree, key string) []tree {
	var parts []tree
	list, _ := part[key].([]any)
	for _, element := range list {
		if one, ok := element.(tree); ok {
			parts = append(parts, one)
		}
	}
	return parts
}

// drop tells whether any of the keys was there.
func drop(part tree, keys ...string) (found bool) {
	for _, key := range keys {
		_, there := part[key]
		found = found || there
		delete(part, key)
	}
	return found
}
