package machineconfig

import (
	"fmt"
	"maps"
	"slices"
)

// leaves lists the paths of all values in a YAML tree, such as machine.network.interfaces[0].mtu, sorted.
func leaves(path string, value any) []string {
	var paths []string
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			below := key
			if path != "" {
				below = path + "." + key
			}
			paths = append(paths, leaves(below, value[key])...)
		}
	case []any:
		for i, element := range value {
			paths = append(paths, leaves(fmt.Sprintf("%s[%d]", path, i), element)...)
		}
	}
	if len(paths) == 0 {
		return []string{path}
	}
	return paths
}
