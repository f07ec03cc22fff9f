package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// maxDepth is how many levels a machine config may have. Written out again, with indentation, each level costs as many
// bytes as it is deep for everything in it: some kilobytes of brackets would become gigabytes.
const maxDepth = 64

// checkDepth refuses a stream of documents that is too deep. What is no YAML is for the loader to refuse.
func checkDepth(document []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(document))

	for root := (yaml.Node{}); decoder.Decode(&root) == nil; root = (yaml.Node{}) {
		if (depths{}).of(&root) > maxDepth {
			return fmt.Errorf("cannot take a machine config that is nested deeper than %d levels", maxDepth)
		}
	}

	return nil
}

// depths holds how deep the nodes are that were looked at, as aliases lead to the same one many times.
type depths map[*yaml.Node]int

// of answers the node's depth, and more than maxDepth for one that contains itself.
func (d depths) of(node *yaml.Node) int {
	if known, ok := d[node]; ok {
		return known
	}

	// Whoever comes here again before the end goes in a circle.
	d[node] = maxDepth + 1

	deepest := 0
	if node.Alias != nil {
		deepest = d.of(node.Alias)
	}

	for _, below := range node.Content {
		deepest = max(deepest, d.of(below))
	}

	d[node] = deepest + 1

	return d[node]
}
