package drill

import (
	"fmt"
	"sync"
	"time"

	"github.com/bronze-os/bronze/provision"
)

// diary keeps when what happened, and tells it as progress. It may be used by many at once.
type diary struct {
	drill    string
	began    time.Time
	progress provision.Progress

	mu     sync.Mutex
	phases []Phase
	events []Event
}

func newDiary(drill string, progress provision.Progress) *diary {
	if progress == nil {
		progress = func(provision.Event) {}
	}
	return &diary{drill: drill, began: time.Now(), progress: progress}
}

// at is the time of an event in seconds since the drill began.
func (d *diary) at(t time.Time) float64 {
	return seconds(t.Sub(d.began))
}

// note keeps an event of now.
func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, Event{At: d.at(time.Now()), Text: fmt.Sprintf(format, args...)})
}

// stage runs one, and keeps how long it took, also where it fails.
func (d *diary) stage(stage Stage, do func(waiting func(string)) error) error {
	began := time.Now()
	event := provision.Event{Kind: provision.EventStarted, Step: d.drill + ": " + string(stage), Phase: provision.Phase(stage)}
	d.tell(event)
	last := ""
	err := do(func(why string) {
		if why != last {
			last, event.Kind, event.Why, event.Took = why, provision.EventWaiting, why, time.Since(began)
			d.tell(event)
		}
	})
	event.Kind, event.Why, event.Took = provision.EventDone, "", time.Since(began)
	if err != nil {
		event.Kind, event.Why = provision.EventFailed, err.Error()
	}
	d.tell(event)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phases = append(d.phases, Phase{Stage: stage, From: d.at(began), To: d.at(time.Now())})
	return err
}

// tell keeps to Progress's promise of one caller at a time.
func (d *diary) tell(event provision.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress(event)
}
