package operate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"go.yaml.in/yaml/v4"
	"k8s.io/client-go/util/jsonpath"
)

// ResourceColumns is the heading of a table of resources: what all have, then what the type's definition says.
func (r Resource) ResourceColumns() []string {
	columns := []string{"NODE", "NAMESPACE", "TYPE", "ID", "VERSION"}
	for _, column := range r.Definition.PrintColumns {
		columns = append(columns, strings.ToUpper(column.Name))
	}
	return columns
}

// Row is the resource's line under ResourceColumns.
func (r Resource) Row() ([]string, error) {
	metadata := r.Resource.Metadata()
	row := []string{r.Node, metadata.Namespace(), r.Definition.DisplayType, metadata.ID(), metadata.Version().String()}
	if r.Event == EventDestroyed {
		// The last message about a resource may not hold its content any more.
		return append(row, make([]string, len(r.Definition.PrintColumns))...), nil
	}
	document, err := r.Document()
	if err != nil {
		return nil, err
	}
	for _, column := range r.Definition.PrintColumns {
		path, err := ParsePath(column.JSONPath)
		if err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", column.Name, r.Definition.Type, err)
		}
		value, err := path.Of(document["spec"])
		if err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", column.Name, metadata.ID(), err)
		}
		row = append(row, oneLine(value))
	}
	return row, nil
}

// oneLine keeps a value from breaking its table.
func oneLine(value string) string {
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}

// YAML is the resource as a document: its node, its metadata and its spec.
func (r Resource) YAML() ([]byte, error) {
	content, err := resource.MarshalYAML(r.Resource)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", r.Resource.Metadata(), err)
	}
	body, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", r.Resource.Metadata(), err)
	}
	heading, err := yaml.Marshal(map[string]string{"node": r.Node})
	if err != nil {
		return nil, err
	}
	return append(heading, body...), nil
}

// Document is YAML's content as maps, lists and scalars, fit for JSON.
func (r Resource) Document() (map[string]any, error) {
	data, err := r.YAML()
	if err != nil {
		return nil, err
	}
	document := map[string]any{}
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("cannot decode %s: %w", r.Resource.Metadata(), err)
	}
	return document, nil
}

// decode reads the spec into a struct with yaml tags.
func (r Resource) decode(spec any) error {
	data, err := yaml.Marshal(r.Resource.Spec())
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", r.Resource.Metadata(), err)
	}
	if err := yaml.Unmarshal(data, spec); err != nil {
		return fmt.Errorf("cannot decode %s: %w", r.Resource.Metadata(), err)
	}
	return nil
}

// decodeJSON reads the spec into a struct with json tags.
func (r Resource) decodeJSON(spec any) error {
	document, err := r.Document()
	if err != nil {
		return err
	}
	data, err := json.Marshal(document["spec"])
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", r.Resource.Metadata(), err)
	}
	return json.Unmarshal(data, spec)
}

// Path picks values from a document, in the words of kubectl's jsonpath.
type Path struct {
	compiled *jsonpath.JSONPath
}

// ParsePath reads a jsonpath template such as {.spec.hostname}. Braces may be left out around a single path.
func ParsePath(text string) (Path, error) {
	if !strings.Contains(text, "{") {
		text = "{" + text + "}"
	}
	compiled := jsonpath.New("path").AllowMissingKeys(true)
	if err := compiled.Parse(text); err != nil {
		return Path{}, fmt.Errorf("cannot parse the jsonpath %q: %w", text, err)
	}
	return Path{compiled: compiled}, nil
}

// Of is what the path finds in the document, as text; nothing where the document has no such value.
func (p Path) Of(document any) (string, error) {
	if document == nil {
		return "", nil
	}
	var found bytes.Buffer
	if err := p.compiled.Execute(&found, document); err != nil {
		return "", fmt.Errorf("cannot follow the jsonpath: %w", err)
	}
	return found.String(), nil
}
