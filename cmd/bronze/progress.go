package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// view shows the progress of a create or destroy: a line for each finished step, and on a terminal a last line that
// tells what is waited for and why it is not there yet.
type view struct {
	out io.Writer
	// width is that of the terminal; 0 shows finished steps only.
	width int

	mutex  sync.Mutex
	active []activity
	frame  int
	closed bool
	stop   chan struct{}
	ended  sync.WaitGroup
}

// activity is a step that runs.
type activity struct {
	step  string
	why   string
	since time.Time
}

const frameTime = 100 * time.Millisecond

func newView(out io.Writer) *view {
	v := &view{out: out, width: terminalWidth(out), stop: make(chan struct{})}
	if v.width > 0 {
		v.ended.Go(v.animate)
	}
	return v
}

// close ends the animation and takes its line away. It may be called twice.
func (v *view) close() {
	v.mutex.Lock()
	defer v.ended.Wait()
	defer v.mutex.Unlock()
	if v.closed {
		return
	}
	v.closed = true
	v.erase()
	close(v.stop)
}

// hear is a provision.Progress.
func (v *view) hear(event provision.Event) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.active = track(v.active, event, time.Now())
	if event.Kind != provision.EventDone && event.Kind != provision.EventFailed {
		return
	}
	v.erase()
	fmt.Fprintln(v.out, finished(event))
}

// track is what runs after the event.
func track(active []activity, event provision.Event, now time.Time) []activity {
	i := slices.IndexFunc(active, func(a activity) bool { return a.step == event.Step })
	switch {
	case event.Kind == provision.EventDone || event.Kind == provision.EventFailed:
		if i >= 0 {
			return slices.Delete(active, i, i+1)
		}
	case i >= 0:
		active[i].why = event.Why
	default:
		return append(active, activity{step: event.Step, why: event.Why, since: now.Add(-event.Took)})
	}
	return active
}

// finished is the line of a step that ended.
func finished(event provision.Event) string {
	if event.Kind == provision.EventFailed {
		return fmt.Sprintf("failed: %s after %.1f s", event.Step, event.Took.Seconds())
	}
	return fmt.Sprintf("%6.1f s  %s", event.Took.Seconds(), event.Step)
}

func (v *view) animate() {
	ticker := time.NewTicker(frameTime)
	defer ticker.Stop()
	for {
		select {
		case <-v.stop:
			return
		case now := <-ticker.C:
			v.draw(now)
		}
	}
}

func (v *view) draw(now time.Time) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if v.closed || len(v.active) == 0 {
		return
	}
	v.frame++
	v.erase()
	fmt.Fprint(v.out, waitingLine(v.active, now, v.frame, v.width))
}

// erase takes the last line away, where there can be one.
func (v *view) erase() {
	if v.width > 0 {
		fmt.Fprint(v.out, "\r\x1b[K")
	}
}

// waitingLine tells of the step that runs longest, cut to the terminal's width: a longer line could not be erased.
func waitingLine(active []activity, now time.Time, frame, width int) string {
	const spinner = `|/-\`
	first := active[0]
	line := fmt.Sprintf("%6.1f %c  %s", now.Sub(first.since).Seconds(), spinner[frame%len(spinner)], first.step)
	if first.why != "" {
		line += ": " + first.why
	}
	if others := len(active) - 1; others > 0 {
		line += fmt.Sprintf(" (and %d more)", others)
	}
	if runes := []rune(line); len(runes) >= width {
		return string(runes[:width-1])
	}
	return line
}
