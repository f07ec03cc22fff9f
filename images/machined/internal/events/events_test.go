package events

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func name(t *testing.T, event Event) string {
	t.Helper()

	var payload machine.SequenceEvent
	if err := proto.Unmarshal(event.Payload.Value, &payload); err != nil {
		t.Fatal(err)
	}

	return payload.Sequence
}

// first collects what a reader sees of the past.
func first(t *testing.T, log *Log, want Selection) []string {
	t.Helper()

	batch, _, _ := log.since(log.first(want))

	var names []string
	for _, event := range batch {
		if want.wants(event) {
			names = append(names, name(t, event))
		}
	}

	return names
}

func TestSelectionPicksPastEvents(t *testing.T) {
	log := New()
	for i, actor := range []string{"x", "y", "x", "y"} {
		log.PublishFor(actor, &machine.SequenceEvent{Sequence: strconv.Itoa(i)})
	}

	ids := make([]string, 4)
	for i, event := range log.events {
		ids[i] = event.ID
	}

	log.events[0].Time = log.events[0].Time.Add(-time.Hour)

	tests := []struct {
		name string
		want Selection
		got  []string
	}{
		{"none without asking", Selection{}, nil},
		{"the last two", Selection{Tail: 2}, []string{"2", "3"}},
		{"more than there are", Selection{Tail: 9}, []string{"0", "1", "2", "3"}},
		{"all", Selection{Tail: -1}, []string{"0", "1", "2", "3"}},
		{"the last two of one actor", Selection{Tail: 2, Actor: "x"}, []string{"0", "2"}},
		{"those after an ID", Selection{AfterID: ids[1]}, []string{"2", "3"}},
		{"those after the last ID", Selection{AfterID: ids[3]}, nil},
		{"the newer ones", Selection{Since: time.Now().Add(-time.Minute)}, []string{"1", "2", "3"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.got, first(t, log, test.want)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIDsGrowAndHaveTheFormOfXIDs(t *testing.T) {
	log := New()
	for range 3 {
		log.Publish(&machine.SequenceEvent{})
	}

	for i, event := range log.events {
		if len(event.ID) != 20 {
			t.Errorf("ID %q is not of 20 characters", event.ID)
		}

		if i > 0 && event.ID <= log.events[i-1].ID {
			t.Errorf("%q does not come after %q", event.ID, log.events[i-1].ID)
		}
	}
}

func TestLogForgetsTheOldest(t *testing.T) {
	log := New()
	for i := range kept + 5 {
		log.Publish(&machine.SequenceEvent{Sequence: strconv.Itoa(i)})
	}

	got := first(t, log, Selection{Tail: -1})
	if len(got) != kept || got[0] != "5" {
		t.Errorf("%d events from %s on", len(got), got[0])
	}
}

func TestFollowDeliversEachEventOnce(t *testing.T) {
	log := New()
	seen := make(chan string)
	stop := errors.New("enough")

	go func() {
		for i := range 100 {
			log.Publish(&machine.SequenceEvent{Sequence: strconv.Itoa(i)})
		}
	}()

	done := make(chan error, 1)

	go func() {
		done <- log.Follow(context.Background(), Selection{Tail: -1}, func(event Event) error {
			seen <- name(t, event)

			if name(t, event) == "99" {
				return stop
			}

			return nil
		})
	}()

	for i := range 100 {
		if got := <-seen; got != strconv.Itoa(i) {
			t.Fatalf("got %s, want %d", got, i)
		}
	}

	if err := <-done; !errors.Is(err, stop) {
		t.Errorf("follow ended with %v", err)
	}
}
