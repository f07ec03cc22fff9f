// Package events keeps the newest events of the machine and lets any number of readers follow them. It knows
// machinery's wire format, and nothing of what the events tell.
package events

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// typePrefix is what Talos's clients expect before the name of an event's type.
const typePrefix = "talos/runtime/"

// kept is how many events are remembered.
const kept = 1000

// Event is one thing that happened.
type Event struct {
	// ID grows with time and is an xid in form.
	ID   string
	Time time.Time
	// Actor is the ID of the call that caused the event; empty for what the machine did by itself.
	Actor   string
	Payload *anypb.Any
}

// Log holds the newest events. New makes one.
type Log struct {
	mu     sync.Mutex
	events []Event
	// dropped is how many events were forgotten; event number n is events[n-dropped].
	dropped int
	ids     generator
	grown   chan struct{}
}

// New makes an empty log.
func New() *Log {
	return &Log{ids: newGenerator(), grown: make(chan struct{})}
}

// Publish adds an event that the machine caused by itself.
func (l *Log) Publish(payload proto.Message) {
	l.PublishFor("", payload)
}

// PublishFor adds an event that the call with the ID actor caused.
func (l *Log) PublishFor(actor string, payload proto.Message) {
	// A generated message always encodes.
	value, _ := proto.Marshal(payload)
	name := string(payload.ProtoReflect().Descriptor().FullName())

	l.mu.Lock()
	defer l.mu.Unlock()

	now := time.Now()
	l.events = append(l.events, Event{
		ID:      l.ids.next(now),
		Time:    now,
		Actor:   actor,
		Payload: &anypb.Any{TypeUrl: typePrefix + name, Value: value},
	})

	if surplus := len(l.events) - kept; surplus > 0 {
		l.events = append([]Event(nil), l.events[surplus:]...)
		l.dropped += surplus
	}

	close(l.grown)
	l.grown = make(chan struct{})
}

// Selection tells which of the past events a reader wants to see first.
type Selection struct {
	// Tail is how many of the newest; a negative one means all.
	Tail int
	// AfterID wants all that are newer than this one; it counts when it is not empty.
	AfterID string
	// Since wants all that are not older; it counts when it is not zero.
	Since time.Time
	// Actor leaves out what others caused, of past and coming events; it counts when it is not empty.
	Actor string
}

// Follow calls yield with the selected past events and then with each new one, oldest first, until ctx ends or yield
// errs. A reader that falls behind by more than the log keeps misses what was forgotten.
func (l *Log) Follow(ctx context.Context, want Selection, yield func(Event) error) error {
	at := l.first(want)

	for {
		batch, next, grown := l.since(at)
		at = next

		for _, event := range batch {
			if !want.wants(event) {
				continue
			}

			if err := yield(event); err != nil {
				return err
			}
		}

		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

// first is the number of the first event that a reader wants.
func (l *Log) first(want Selection) int {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.dropped + skip(l.events, want)
}

// skip tells how many of the past events a reader does not want to see.
func skip(events []Event, want Selection) int {
	if want.AfterID == "" && want.Since.IsZero() {
		return skipToTail(events, want)
	}

	for i, event := range events {
		if want.AfterID != "" && event.ID > want.AfterID || !want.Since.IsZero() && !event.Time.Before(want.Since) {
			return i
		}
	}

	return len(events)
}

// skipToTail counts only events that the reader will see.
func skipToTail(events []Event, want Selection) int {
	if want.Tail < 0 {
		return 0
	}

	for left := want.Tail; len(events) > 0 && left > 0; events = events[:len(events)-1] {
		if want.wants(events[len(events)-1]) {
			left--
		}
	}

	return len(events)
}

func (s Selection) wants(event Event) bool {
	return s.Actor == "" || s.Actor == event.Actor
}

func (l *Log) since(at int) (batch []Event, next int, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()

	from := max(0, at-l.dropped)
	batch = append(batch, l.events[from:]...)

	return batch, l.dropped + len(l.events), l.grown
}
