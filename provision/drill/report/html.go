package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/bronze-os/bronze/provision/drill"
)

//go:embed page.tmpl
var page string

//go:embed page.css
var style string

// HTML is the report as one page: a summary, then for each drill what had to hold and the timeline.
func HTML(report drill.Report) ([]byte, error) {
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"seconds": duration, "measure": measure, "verdict": verdictMark, "mark": checkMark, "join": strings.Join, "over": over,
	}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the page: %w", err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, pageOf(report))
	return text.Bytes(), err
}

// sheet is what the page shows.
type sheet struct {
	drill.Report
	Style    template.CSS
	Headline string
	Legend   []legend
	Sections []section
}

// section is one drill with its timeline; Chart is nil where there is nothing to draw.
type section struct {
	drill.Run
	Number int
	Chart  *chart
}

type legend struct{ State, Means string }

func pageOf(report drill.Report) sheet {
	made := sheet{Report: report, Style: template.CSS(style), Headline: headline(report), Legend: legends()}
	for i, run := range report.Runs {
		one := section{Run: run, Number: i + 1}
		if len(run.Phases) > 0 {
			one.Chart = draw(run)
		}
		made.Sections = append(made.Sections, one)
	}
	return made
}

// headline says in one line how it went.
func headline(report drill.Report) string {
	failed, skipped := report.Failures(), report.Skips()
	passed := len(report.Runs) - failed - skipped
	parts := []string{fmt.Sprintf("%d of %d drills passed", passed, len(report.Runs))}
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", failed))
	}
	if skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not run", skipped))
	}
	return strings.Join(parts, ", ")
}

func legends() []legend {
	return []legend{
		{"running", "runs, and is Ready"},
		{"not ready", "runs, and cannot take pods"},
		{"paused", "frozen, not dead"},
		{"stopped", "there, and does not run"},
		{"restarting", "made, and does not run yet"},
		{"unreachable", "does not answer, or nobody can tell"},
		{"missing", "wanted, and has no machine"},
		{"ghost", "known, and nothing is behind it"},
	}
}

// duration is a time in words, to a tenth of a second: nothing here is measured finer.
func duration(seconds float64) string {
	if seconds >= 100 {
		return fmt.Sprintf("%d min %02d s", int(seconds)/60, int(seconds)%60)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// measure is a time that may not have been measured.
func measure(seconds *float64) string {
	if seconds == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f", *seconds)
}

// over tells whether a gap is longer than it may be.
func over(times drill.Times) bool {
	return times.Gap != nil && times.MaxGap != nil && *times.Gap > *times.MaxGap
}

// verdictMark goes before the word, so that colour says nothing alone.
func verdictMark(verdict drill.Verdict) string {
	switch verdict {
	case drill.Passed:
		return "✓"
	case drill.Failed:
		return "✗"
	default:
		return "–"
	}
}

func checkMark(held bool) string {
	if held {
		return "✓"
	}
	return "✗"
}
