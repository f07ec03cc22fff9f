package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestReferenceIsWhatHelpSays keeps docs/cli in step with the commands.
func TestReferenceIsWhatHelpSays(t *testing.T) {
	var page strings.Builder
	page.WriteString("# bronze: the commands\n\nGenerated from the commands by `go test ./cmd/bronze -update`.\n")
	root := newRoot(hostApp(io.Discard, io.Discard))
	root.InitDefaultCompletionCmd()
	describe(&page, root)
	golden(t, "../../docs/cli/bronze.md", page.String())
}

// describe writes a section for the command and for each below it.
func describe(page *strings.Builder, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(page, "\n## %s\n\n%s\n\n```\n%s\n```\n", cmd.CommandPath(), strings.TrimSpace(text),
		strings.TrimRight(cmd.UsageString(), "\n"))
	for _, child := range cmd.Commands() {
		// The four shells' scripts have pages of their own in --help, and nothing to say here.
		if child.IsAvailableCommand() && cmd.Name() != "completion" {
			describe(page, child)
		}
	}
}
