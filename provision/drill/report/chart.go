package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision/drill"
)

// The measures of a chart, in units of its view box.
const (
	chartWidth = 1000.0
	labels     = 190.0
	rowHeight  = 20.0
	rowGap     = 6.0
	flagHigh   = 14.0
	flagsTop   = 3*flagHigh + 6
	writesHigh = 56.0
	axisHigh   = 26.0
	// letter is about the width of a character of the chart's small type.
	letter = 6.1
)

// chart is a timeline, laid out: rows from top to bottom are the measured moments, the phases, the nodes, the writes and
// the axis.
type chart struct {
	Width, Height float64
	Left          float64
	// Top is where the rows begin below the flags, Plot where they end above the axis.
	Top    float64
	Plot   float64
	Says   string
	Flags  []moment
	Phases []bar
	Lanes  []lane
	Writes writesRow
	Ticks  []tick
}

// moment is one that was measured: a line over all rows, with a label on one of three levels.
type moment struct {
	X, LabelY float64
	Label     string
	Anchor    string
	Harm      bool
}

// bar is a rectangle in a row. Text is empty where there is no room for it.
type bar struct {
	X, Y, Width, Height float64
	Class, Text, Title  string
}

type lane struct {
	Name, Role string
	LabelY     float64
	Bars       []bar
}

type writesRow struct {
	Top, Bottom, LabelY float64
	Path                string
	Gaps                []bar
	Peak                string
}

type tick struct {
	X     float64
	Label string
}

// scale maps seconds to the chart.
type scale struct{ length float64 }

func (s scale) x(seconds float64) float64 {
	return round(labels + math.Min(math.Max(seconds, 0), s.length)/s.length*(chartWidth-labels-10))
}

func (s scale) bar(from, to, y, height float64, class, text, title string) bar {
	b := bar{X: s.x(from), Y: y, Height: height, Class: class, Text: text, Title: title}
	// A moment that is too short to see is drawn all the same.
	b.Width = round(math.Max(s.x(to)-b.X, 1))
	if float64(len(text))*letter+8 > b.Width {
		b.Text = ""
	}
	return b
}

// round keeps the page short: hundredths of a unit are not to be seen.
func round(x float64) float64 { return math.Round(x*100) / 100 }

func draw(run drill.Run) *chart {
	s := scale{math.Max(run.Seconds, 1)}
	c := &chart{Width: chartWidth, Left: labels, Top: flagsTop, Says: says(run), Flags: flags(run, s), Ticks: ticks(s)}
	y := flagsTop
	for _, phase := range run.Phases {
		title := fmt.Sprintf("%s: %s from %.1f s on", phase.Stage, duration(phase.To-phase.From), phase.From)
		c.Phases = append(c.Phases, s.bar(phase.From, phase.To, y, rowHeight, "phase", string(phase.Stage), title))
	}
	y += rowHeight + rowGap*2
	for _, node := range run.Lanes {
		c.Lanes = append(c.Lanes, s.lane(node, y))
		y += rowHeight + rowGap
	}
	y += rowGap
	c.Writes = s.writes(run.Writes, y)
	c.Plot = y + writesHigh
	c.Height = c.Plot + axisHigh
	return c
}

func (s scale) lane(node drill.Lane, y float64) lane {
	made := lane{Name: node.Node, Role: node.Role, LabelY: y + rowHeight - 6}
	for _, span := range node.Spans {
		title := fmt.Sprintf("%s is %s from %.1f s to %.1f s. %s", node.Node, span.State, span.From, span.To, span.Why)
		class := "state " + strings.ReplaceAll(span.State, " ", "-")
		made.Bars = append(made.Bars, s.bar(span.From, span.To, y, rowHeight, class, span.State, strings.TrimSpace(title)))
	}
	return made
}

// writes draws one column for each tenth of a second, as one path, and a bar over each gap.
func (s scale) writes(writes drill.Writes, top float64) writesRow {
	row := writesRow{Top: top, Bottom: top + writesHigh, LabelY: top + writesHigh/2}
	peak := slices.Max(append([]int{1}, writes.PerTenth...))
	row.Peak = fmt.Sprintf("peak %d per 100 ms", peak)
	height := func(n int) float64 { return round(row.Bottom - float64(n)/float64(peak)*writesHigh) }
	var path strings.Builder
	fmt.Fprintf(&path, "M%g %g", s.x(writes.From), row.Bottom)
	last := 0
	for i, n := range writes.PerTenth {
		if n != last {
			fmt.Fprintf(&path, "H%gV%g", s.x(writes.From+float64(i)/10), height(n))
			last = n
		}
	}
	fmt.Fprintf(&path, "H%gV%gZ", s.x(writes.To), row.Bottom)
	row.Path = path.String()
	for _, gap := range writes.Gaps {
		title := fmt.Sprintf("no write was acknowledged for %.1f s from %.1f s on", gap.Seconds(), gap.From)
		row.Gaps = append(row.Gaps, s.bar(gap.From, gap.To, top, writesHigh, "gap", fmt.Sprintf("%.1f s", gap.Seconds()), title))
	}
	return row
}

// flags are the harm and what was measured from it on.
func flags(run drill.Run, s scale) []moment {
	if run.HarmedAt == nil {
		return nil
	}
	harmed := *run.HarmedAt
	list := []moment{{X: s.x(harmed), Label: "harm", Harm: true}}
	for _, m := range []struct {
		label string
		after *float64
	}{{"seen", run.Times.Detect}, {"clean", run.Times.Clean}, {"full strength", run.Times.Strong}} {
		if m.after != nil {
			list = append(list, moment{X: s.x(harmed + *m.after), Label: fmt.Sprintf("%s +%.1f s", m.label, *m.after)})
		}
	}
	slices.SortStableFunc(list, func(a, b moment) int { return cmp.Compare(a.X, b.X) })
	place(list)
	return list
}

// place puts each label on the highest of three levels on which it does not cover the one before.
func place(list []moment) {
	var ends [3]float64
	for i := range list {
		m := &list[i]
		width := float64(len(m.Label))*letter + 8
		from := m.X
		m.Anchor = "start"
		if m.X+width > chartWidth {
			m.Anchor, from = "end", m.X-width
		}
		level := max(0, slices.IndexFunc(ends[:], func(end float64) bool { return end <= from }))
		ends[level] = from + width
		m.LabelY = float64(level+1)*flagHigh - 2
	}
}

// ticks are round numbers of seconds, at most ten.
func ticks(s scale) []tick {
	step := 1.0
	for _, candidate := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300} {
		if step = candidate; s.length/step <= 10 {
			break
		}
	}
	var list []tick
	for at := 0.0; at <= s.length; at += step {
		list = append(list, tick{X: s.x(at), Label: fmt.Sprintf("%g s", at)})
	}
	return list
}

// says is the chart in words, for those who do not see it.
func says(run drill.Run) string {
	words := []string{fmt.Sprintf("Timeline of %s over %s.", run.Name, duration(run.Seconds))}
	if run.HarmedAt != nil {
		words = append(words, fmt.Sprintf("Harm at %.1f s.", *run.HarmedAt))
	}
	for _, m := range []struct {
		what  string
		value *float64
	}{{"Seen", run.Times.Detect}, {"Clean", run.Times.Clean}, {"At full strength", run.Times.Strong}} {
		if m.value != nil {
			words = append(words, fmt.Sprintf("%s %.1f s after it.", m.what, *m.value))
		}
	}
	if run.Times.Gap != nil {
		words = append(words, fmt.Sprintf("The longest time without an acknowledged write was %.1f s.", *run.Times.Gap))
	}
	return strings.Join(words, " ")
}
