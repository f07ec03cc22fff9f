package events_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/proto"

	"github.com/bronze-os/bronze/images/machined/internal/events"
)

func TestASequenceTellsOfItsPhasesInOrder(t *testing.T) {
	log := events.New()
	failure := errors.New("cannot stop")

	sequence := log.Begin("reboot", events.Actor(events.WithActor(t.Context(), "caller")))
	err := sequence.Phase("stopEverything", "stopAllServices", func() error { return failure })
	sequence.End(err)

	if !errors.Is(err, failure) {
		t.Errorf("the phase answers %v", err)
	}

	want := []string{
		"SequenceEvent reboot START <nil>", "PhaseEvent stopEverything START", "TaskEvent stopAllServices START",
		"TaskEvent stopAllServices STOP", "PhaseEvent stopEverything STOP", `SequenceEvent reboot STOP code:FATAL message:"cannot stop"`,
	}

	if diff := cmp.Diff(want, told(t, log, len(want))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// told are the first events of the log, all of which are the caller's.
func told(t *testing.T, log *events.Log, count int) []string {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var lines []string

	err := log.Follow(ctx, events.Selection{Tail: -1, Actor: "caller"}, func(event events.Event) error {
		var (
			sequence machine.SequenceEvent
			phase    machine.PhaseEvent
			task     machine.TaskEvent
		)

		// Each type decodes from another's bytes: only the name tells them apart.
		switch event.Payload.TypeUrl {
		case "talos/runtime/machine.SequenceEvent":
			decode(t, event, &sequence)

			reason := "<nil>"
			if sequence.GetError() != nil {
				reason = fmt.Sprintf("code:%s message:%q", sequence.GetError().GetCode(), sequence.GetError().GetMessage())
			}

			lines = append(lines, fmt.Sprintf("SequenceEvent %s %s %s", sequence.GetSequence(), sequence.GetAction(), reason))
		case "talos/runtime/machine.PhaseEvent":
			decode(t, event, &phase)
			lines = append(lines, fmt.Sprintf("PhaseEvent %s %s", phase.GetPhase(), phase.GetAction()))
		default:
			decode(t, event, &task)
			lines = append(lines, fmt.Sprintf("TaskEvent %s %s", task.GetTask(), task.GetAction()))
		}

		if len(lines) == count {
			cancel()
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return lines
}

func decode(t *testing.T, event events.Event, into proto.Message) {
	t.Helper()

	if err := proto.Unmarshal(event.Payload.Value, into); err != nil {
		t.Fatal(err)
	}
}
