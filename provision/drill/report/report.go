// Package report renders what came of drills: JSON, JUnit XML, and one HTML file that needs nothing beside it. Rendering
// is pure; Write puts the three into a directory. It may import provision/drill, and no client of anything.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bronze-os/bronze/provision/drill"
)

// The files that Write makes.
const (
	HTMLFile  = "report.html"
	JUnitFile = "junit.xml"
	JSONFile  = "report.json"
)

// Write makes the directory where it is not there, and its files in place of older ones.
func Write(dir string, report drill.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make directory of the report: %w", err)
	}
	for _, file := range []struct {
		name   string
		render func(drill.Report) ([]byte, error)
	}{{JSONFile, JSON}, {JUnitFile, JUnit}, {HTMLFile, HTML}} {
		text, err := file.render(report)
		if err != nil {
			return fmt.Errorf("rendering %s: %w", file.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), text, 0o644); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	return nil
}

// JSON is the report as it is.
func JSON(report drill.Report) ([]byte, error) {
	text, err := json.MarshalIndent(report, "", "  ")
	return append(text, '\n'), err
}
