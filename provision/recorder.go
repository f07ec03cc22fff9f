package provision

import (
	"slices"
	"sync"
	"time"
)

// Recorder reports steps to a Progress, one at a time, and keeps when each phase began and ended. It may be used by many
// goroutines.
type Recorder struct {
	mu       sync.Mutex
	progress Progress
	began    time.Time
	spans    []span
}

type span struct {
	phase      Phase
	start, end time.Time
}

// NewRecorder counts from now on; progress may be nil.
func NewRecorder(progress Progress) *Recorder {
	if progress == nil {
		progress = func(Event) {}
	}
	return &Recorder{progress: progress, began: time.Now()}
}

// Run does one step, and reports that it started and how it ended. waiting is for the step to say why it is not done yet.
func (r *Recorder) Run(phase Phase, step string, act func(waiting func(why string)) error) error {
	start := time.Now()
	r.report(Event{Kind: EventStarted, Step: step, Phase: phase})
	last := ""
	err := act(func(why string) {
		if why != last {
			last = why
			r.report(Event{Kind: EventWaiting, Step: step, Phase: phase, Why: why, Took: time.Since(start)})
		}
	})
	event := Event{Kind: EventDone, Step: step, Phase: phase, Took: time.Since(start)}
	if err != nil {
		event.Kind, event.Why = EventFailed, err.Error()
	}
	r.report(event)
	r.span(span{phase: phase, start: start, end: time.Now()})
	return err
}

func (r *Recorder) report(event Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress(event)
}

// span widens the phase's span by one step's.
func (r *Recorder) span(s span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.spans, func(other span) bool { return other.phase == s.phase })
	if i < 0 {
		r.spans = append(r.spans, s)
		return
	}
	if s.start.Before(r.spans[i].start) {
		r.spans[i].start = s.start
	}
	if s.end.After(r.spans[i].end) {
		r.spans[i].end = s.end
	}
}

// Timings are those of the phases so far, in the order in which they began.
func (r *Recorder) Timings() []Timing {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.spans, func(a, b span) int { return a.start.Compare(b.start) })
	var timings []Timing
	for _, s := range r.spans {
		timings = append(timings, Timing{
			Phase:   s.phase,
			Seconds: s.end.Sub(s.start).Seconds(),
			At:      s.end.Sub(r.began).Seconds(),
		})
	}
	return timings
}
