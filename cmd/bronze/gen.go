package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision"
)

func newGen(a *app) *cobra.Command {
	files := &outputFiles{app: a}
	cmd := parent("gen", "Make machine configs and secrets", newGenConfig(files), newGenSecrets(files))
	cmd.PersistentFlags().BoolVarP(&files.force, "force", "f", false, "overwrite files that are there")
	return cmd
}

// outputFiles writes what was made.
type outputFiles struct {
	*app
	force bool
}

// madeMode is that of files with secrets in them.
const madeMode = 0o600

// refuse says which of the files are there and may not be overwritten.
func (f *outputFiles) refuse(paths ...string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil && !f.force {
			return provision.WithHint(fmt.Errorf("cannot write %s: it is there already", path), "--force overwrites it")
		}
	}
	return nil
}

func (f *outputFiles) write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := os.WriteFile(path, data, madeMode); err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	fmt.Fprintln(f.stderr, "Created", path)
	return nil
}
