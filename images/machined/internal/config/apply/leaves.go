package apply

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
	document "github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"sigs.k8s.io/yaml"
)

// leaf is one value in a machine config and where it is.
type leaf struct {
	// kind and name are the document's; the name is empty where a document has none.
	kind, name string
	// keys are YAML names and the keys of maps, without the indexes of lists.
	keys []string
	// value is a string, a bool or a float64.
	value any
}

// path names the place as a user would look for it, down to depth keys.
func (l leaf) path(depth int) string {
	path := strings.Join(l.keys[:min(depth, len(l.keys))], ".")

	if document := strings.TrimSuffix(l.kind+"/"+l.name, "/"); l.kind != nodeDocument && path != "" {
		return document + " " + path
	} else if l.kind != nodeDocument {
		return document
	}

	return path
}

// leaves answers every value of a config, by a place that is its alone. Empty lists and maps hold none: a config with
// them says no more than one without.
func leaves(provider config.Provider) (map[string]leaf, error) {
	found := map[string]leaf{}

	for _, d := range provider.Documents() {
		text, err := encoder.NewEncoder(d, encoder.WithComments(encoder.CommentsDisabled)).Encode()
		if err != nil {
			return nil, fmt.Errorf("cannot encode the machine config: %w", err)
		}

		var values map[string]any
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("cannot read the machine config back: %w", err)
		}

		at := leaf{kind: d.Kind()}
		if named, ok := d.(document.NamedDocument); ok {
			at.name = named.Name()
		}

		at.value = values
		at.collect(at.kind+"/"+at.name, found)
	}

	return found, nil
}

// collect puts the values below l into found. place is unlike keys never the same for two values.
func (l leaf) collect(place string, found map[string]leaf) {
	switch value := l.value.(type) {
	case nil:
	case map[string]any:
		for key, below := range value {
			next := leaf{kind: l.kind, name: l.name, keys: append(slices.Clone(l.keys), key), value: below}
			next.collect(place+"\x00"+key, found)
		}
	case []any:
		for i, below := range value {
			next := leaf{kind: l.kind, name: l.name, keys: l.keys, value: below}
			next.collect(place+"\x00"+strconv.Itoa(i), found)
		}
	default:
		found[place] = l
	}
}

// changes are the values that one of two configs has and the other has not, in the order of their places.
func changes(before, after config.Provider) ([]leaf, error) {
	old, err := leaves(before)
	if err != nil {
		return nil, err
	}

	now, err := leaves(after)
	if err != nil {
		return nil, err
	}

	places := map[string]leaf{}

	for place, l := range now {
		if other, ok := old[place]; !ok || !reflect.DeepEqual(other.value, l.value) {
			places[place] = l
		}
	}

	for place, l := range old {
		if _, ok := now[place]; !ok {
			places[place] = l
		}
	}

	return ordered(places), nil
}

func ordered(found map[string]leaf) []leaf {
	list := make([]leaf, 0, len(found))
	for _, place := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[place])
	}

	return list
}
