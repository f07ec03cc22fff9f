package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision/drill"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

// sample has a drill that passed, one that failed with a lost write and markup in its words, and one that was not run.
func sample() drill.Report {
	measured := func(seconds float64) *float64 { return &seconds }
	tenths := make([]int, 200)
	for i := range tenths {
		tenths[i] = 2 + i%2
	}
	clear(tenths[62:78])
	passed := drill.Run{
		Name: "rm-controlplane-leader", Rehearses: "the control plane that leads etcd is deleted with its volumes",
		Act: drill.Vanish, Whom: drill.Leader, Cure: drill.Replace, Cluster: "drill", Shape: drill.Shape{ControlPlanes: 3, Workers: 2},
		Verdict: drill.Passed, Began: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC), Seconds: 24,
		HarmedAt: measured(8.2), Victims: []string{"drill-controlplane-2"},
		Checks: []drill.Check{
			{What: "every acknowledged write is there", Held: true, Evidence: "460 acknowledged, 0 lost"},
			{What: "the API takes writes again within 5s", Held: true, Evidence: "1.6 s was the longest time without one"},
		},
		Phases: []drill.Phase{
			{Stage: drill.StageCanary, From: 0, To: 2}, {Stage: drill.StageSteady, From: 2, To: 8.2},
			{Stage: drill.StageHarm, From: 8.2, To: 8.4}, {Stage: drill.StageDetect, From: 8.4, To: 8.9},
			{Stage: drill.StageCure, From: 8.9, To: 18}, {Stage: drill.StageCheck, From: 18, To: 22}, {Stage: drill.StagePutBack, From: 22, To: 24},
		},
		Events: []drill.Event{{At: 8.2, Text: "delete with volumes: drill-controlplane-2"}, {At: 18, Text: "reconcile did 9 steps"}},
		Lanes: []drill.Lane{
			{Node: "drill-controlplane-1", Role: "controlplane", Spans: []drill.Span{{From: 0.4, To: 24, State: "running"}}},
			{Node: "drill-controlplane-2", Role: "controlplane", Spans: []drill.Span{
				{From: 0.4, To: 8.6, State: "running"}, {From: 8.6, To: 11, State: "missing", Why: "the engine has no machine of it"}}},
			{Node: "drill-controlplane-4", Role: "controlplane", Spans: []drill.Span{
				{From: 11, To: 13, State: "restarting"}, {From: 13, To: 16.5, State: "not ready"}, {From: 16.5, To: 24, State: "running"}}},
		},
		Writes: drill.Writes{From: 2, To: 22, Acknowledged: 460, PerTenth: tenths, Refused: 3, Why: []string{"no answer within 1s"},
			Gaps: []drill.Gap{{From: 8.2, To: 9.8}}},
		Times: drill.Times{Detect: measured(0.4), Clean: measured(2.8), Strong: measured(8.3), Gap: measured(1.6), MaxGap: measured(5)},
	}
	failed := drill.Run{
		Name: "kill-etcd", Rehearses: "the etcd that leads is killed", Act: drill.KillProcess, Whom: drill.Leader, Cure: drill.Nothing,
		Cluster: "drill", Shape: drill.Shape{ControlPlanes: 3, Workers: 2}, Verdict: drill.Failed, Seconds: 4,
		Reason: `does not hold: every acknowledged write is there: "<script>" & 1 lost`,
		Checks: []drill.Check{{What: "every acknowledged write is there", Evidence: `"<script>" & 1 lost`}},
		Phases: []drill.Phase{{Stage: drill.StageCanary, From: 0, To: 4}},
		Writes: drill.Writes{From: 1, To: 4, Acknowledged: 60, Lost: []string{"write-000007"}},
		Times:  drill.Times{Gap: measured(6.25), MaxGap: measured(5)},
	}
	return drill.Report{
		Bronze: "v0.1.0", Host: "linux/amd64, 2 processors", Began: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC), Seconds: 131,
		Runs: []drill.Run{passed, failed, {Name: "engine-restart", Rehearses: "the engine restarts under the cluster",
			Verdict: drill.Skipped, Reason: "needs a command that restarts the engine"}},
	}
}

func TestGolden(t *testing.T) {
	for name, render := range map[string]func(drill.Report) ([]byte, error){HTMLFile: HTML, JUnitFile: JUnit, JSONFile: JSON} {
		t.Run(name, func(t *testing.T) {
			got, err := render(sample())
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if updating() {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("run go test -update where this is meant (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThePageNeedsNothingBesideIt(t *testing.T) {
	text, err := HTML(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"http:", "https:", "<script", "<link", "@import", "src=", "ZgotmplZ"} {
		if strings.Contains(string(text), foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	for _, reference := range regexp.MustCompile(`(?:href="|url\()#([a-z0-9-]+)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(text), `id="`+reference[1]+`"`) {
			t.Errorf("the page refers to #%s and has no such part", reference[1])
		}
	}
}

func TestThePageIsWellFormed(t *testing.T) {
	text, err := HTML(sample())
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`<meta ([^>]*)>`).ReplaceAll(text, []byte("<meta $1/>"))
	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.Entity = xml.HTMLEntity
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLabelsOfMomentsDoNotCoverEachOther(t *testing.T) {
	run := sample().Runs[0]
	soon := 0.1
	run.Times.Detect, run.Times.Clean, run.Times.Strong = &soon, &soon, &soon
	list := flags(run, scale{run.Seconds})
	for i, a := range list[:3] {
		for _, b := range list[i+1 : 3] {
			if a.LabelY == b.LabelY && a.X+float64(len(a.Label))*letter > b.X {
				t.Errorf("%+v covers %+v", a, b)
			}
		}
	}
}

func TestTheChartStaysWithinItsBox(t *testing.T) {
	c := draw(sample().Runs[0])
	inside := func(what string, b bar) {
		if b.X < labels || b.X+b.Width > chartWidth || b.Y < 0 || b.Y+b.Height > c.Plot || b.Width < 1 {
			t.Errorf("%s %q is at %+v in a chart of %g by %g", what, b.Title, b, c.Width, c.Plot)
		}
	}
	for _, phase := range c.Phases {
		inside("phase", phase)
	}
	for _, lane := range c.Lanes {
		for _, span := range lane.Bars {
			inside("state", span)
		}
	}
	for _, gap := range c.Writes.Gaps {
		inside("gap", gap)
	}
	if len(c.Ticks) < 3 || len(c.Ticks) > 11 {
		t.Errorf("the axis has %d ticks", len(c.Ticks))
	}
}

func TestWriteMakesAllFilesAndTheJSONReadsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	if err := Write(dir, sample()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, JSONFile))
	if err != nil {
		t.Fatal(err)
	}
	var read drill.Report
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), read); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	for _, name := range []string{HTMLFile, JUnitFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAReportThatCannotBeWrittenSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(file, "below"), sample()); err == nil {
		t.Error("a directory was made below a file")
	}
}
