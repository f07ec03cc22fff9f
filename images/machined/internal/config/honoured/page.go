package honoured

import (
	"fmt"
	"strings"
)

// Page is docs/machine-config.md: the table for readers.
func Page(fields []Field) string {
	var page strings.Builder

	page.WriteString(`# What a node makes of its machine config

Generated from images/machined/internal/config/honoured by ` + "`go test ./images/machined/internal/config/honoured -update`" + `.

The machine config is Talos's own, with every field of it. A node in a container honours what can be true there; of the
rest, whoever applies a config is told by name. A field stands for all below it that has no line of its own.

| state | what it means |
|---|---|
| live | comes to the running node within seconds of a change |
| reboot | is honoured from the node's next boot on |
| warned | is accepted and without effect; applying it gives a warning, unless it asks for what is so anyway |
| refused | a config that holds it is not accepted |
`)

	kind := ""

	for _, field := range fields {
		if heading := field.heading(); heading != kind {
			kind = heading
			fmt.Fprintf(&page, "\n## %s\n\n| field | state | |\n|---|---|---|\n", heading)
		}

		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", field.name(), field.State, field.Note)
	}

	return page.String()
}

func (f Field) heading() string {
	if f.Kind == NodeDocument {
		return "The node's document"
	}

	return "Documents with a kind"
}

// name is what a reader looks the field up by.
func (f Field) name() string {
	switch {
	case f.Path == "":
		return f.Kind
	case f.Kind != NodeDocument:
		return f.Kind + " " + f.Path
	default:
		return f.Path
	}
}
