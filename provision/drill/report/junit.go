package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision/drill"
)

// The elements of JUnit XML that its readers agree on, by the schema of Jenkins's xunit plugin.
type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []suite  `xml:"testsuite"`
	}
	suite struct {
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`
		Timestamp  string     `xml:"timestamp,attr"`
		Properties []property `xml:"properties>property"`
		Cases      []testcase `xml:"testcase"`
	}
	testcase struct {
		Name       string     `xml:"name,attr"`
		Class      string     `xml:"classname,attr"`
		Time       string     `xml:"time,attr"`
		Properties []property `xml:"properties>property,omitempty"`
		Failure    *outcome   `xml:"failure"`
		Skipped    *outcome   `xml:"skipped"`
		Output     string     `xml:"system-out,omitempty"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	outcome struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit is the report as a suite of one test case for each drill, with what was measured as properties.
func JUnit(report drill.Report) ([]byte, error) {
	all := suite{
		Name: "bronze drill", Tests: len(report.Runs), Failures: report.Failures(), Skipped: report.Skips(),
		Time: decimal(report.Seconds), Timestamp: report.Began.UTC().Format(time.RFC3339),
		Properties: []property{{"bronze", report.Bronze}, {"host", report.Host}},
	}
	for _, run := range report.Runs {
		all.Cases = append(all.Cases, caseOf(run))
	}
	text, err := xml.MarshalIndent(suites{
		Name: all.Name, Tests: all.Tests, Failures: all.Failures, Skipped: all.Skipped, Time: all.Time, Suites: []suite{all},
	}, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

func caseOf(run drill.Run) testcase {
	test := testcase{Name: run.Name, Class: "drill", Time: decimal(run.Seconds), Output: story(run)}
	switch run.Verdict {
	case drill.Failed:
		test.Failure = &outcome{Message: run.Reason, Text: unheld(run)}
	case drill.Skipped:
		test.Skipped = &outcome{Message: run.Reason}
		return test
	}
	test.Properties = properties(run)
	return test
}

func properties(run drill.Run) []property {
	list := []property{{"cluster", run.Cluster}, {"victims", strings.Join(run.Victims, " ")}}
	for _, time := range []struct {
		name  string
		value *float64
	}{
		{"seconds to detect", run.Times.Detect}, {"seconds to clean", run.Times.Clean},
		{"seconds to full strength", run.Times.Strong}, {"API gap in seconds", run.Times.Gap},
		{"API gap allowed in seconds", run.Times.MaxGap},
	} {
		if time.value != nil {
			list = append(list, property{time.name, decimal(*time.value)})
		}
	}
	return append(list,
		property{"writes acknowledged", fmt.Sprint(run.Writes.Acknowledged)},
		property{"writes refused", fmt.Sprint(run.Writes.Refused)},
		property{"writes lost", fmt.Sprint(len(run.Writes.Lost))})
}

// unheld lists what had to hold and did not.
func unheld(run drill.Run) string {
	var lines []string
	for _, check := range run.Checks {
		if !check.Held {
			lines = append(lines, check.What+": "+check.Evidence)
		}
	}
	return strings.Join(lines, "\n")
}

// story is what happened, a line each.
func story(run drill.Run) string {
	var lines strings.Builder
	for _, event := range run.Events {
		fmt.Fprintf(&lines, "%7.1f s  %s\n", event.At, event.Text)
	}
	return lines.String()
}

func decimal(seconds float64) string {
	return fmt.Sprintf("%.3f", seconds)
}
