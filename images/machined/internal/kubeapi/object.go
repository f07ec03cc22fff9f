package kubeapi

// Object is any Kubernetes object, or a part of one, as its JSON reads. Its methods walk down by field names; what is not
// there, or of another type, is empty.
type Object map[string]any

// Kind, APIVersion, Name and Namespace are the parts that every object has.
func (o Object) Kind() string       { return o.Text("kind") }
func (o Object) APIVersion() string { return o.Text("apiVersion") }
func (o Object) Name() string       { return o.Text("metadata", "name") }
func (o Object) Namespace() string  { return o.Text("metadata", "namespace") }

// HasLabel tells whether the object bears a label of that name.
func (o Object) HasLabel(name string) bool {
	labels, _ := o.at([]string{"metadata", "labels"}).(map[string]any)
	_, ok := labels[name]

	return ok
}

// Text answers the string at the path.
func (o Object) Text(path ...string) string {
	text, _ := o.at(path).(string)

	return text
}

// Strings answers the strings in the list at the path.
func (o Object) Strings(path ...string) []string {
	list, _ := o.at(path).([]any)

	var texts []string

	for _, entry := range list {
		if text, ok := entry.(string); ok {
			texts = append(texts, text)
		}
	}

	return texts
}

// Map answers the object at the path, nil where there is none.
func (o Object) Map(path ...string) map[string]any {
	object, _ := o.at(path).(map[string]any)

	return object
}

// Texts answers the strings in the object at the path, by their names.
func (o Object) Texts(path ...string) map[string]string {
	object, _ := o.at(path).(map[string]any)
	texts := map[string]string{}

	for name, entry := range object {
		if text, ok := entry.(string); ok {
			texts[name] = text
		}
	}

	return texts
}

// Count answers the whole number at the path.
func (o Object) Count(path ...string) int {
	number, _ := o.at(path).(float64)

	return int(number)
}

// Is tells whether there is a true at the path.
func (o Object) Is(path ...string) bool {
	is, _ := o.at(path).(bool)

	return is
}

// List answers the objects in the list at the path.
func (o Object) List(path ...string) []Object {
	list, _ := o.at(path).([]any)

	var objects []Object

	for _, entry := range list {
		if object, ok := entry.(map[string]any); ok {
			objects = append(objects, object)
		}
	}

	return objects
}

// Set puts value at the path and makes the objects on the way.
func (o Object) Set(value any, path ...string) {
	current := map[string]any(o)

	for _, name := range path[:len(path)-1] {
		next, ok := current[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			current[name] = next
		}

		current = next
	}

	current[path[len(path)-1]] = value
}

func (o Object) at(path []string) any {
	var current any = map[string]any(o)

	for _, name := range path {
		object, ok := current.(map[string]any)
		if !ok {
			return nil
		}

		current = object[name]
	}

	return current
}
