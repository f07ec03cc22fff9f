package events

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

type actorKey struct{}

// WithActor answers a context that bears the ID of the call which causes what is done in it.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor tells the ID of the call that causes what is done in ctx; it is empty for what the machine does by itself.
func Actor(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)

	return actor
}

// Sequence tells of one of the machine's sequences, such as boot or shutdown, as clients of Talos follow it: its phases, each
// with one task.
type Sequence struct {
	log         *Log
	name, actor string
}

// Begin tells that a sequence starts, and answers it.
func (l *Log) Begin(name, actor string) Sequence {
	l.PublishFor(actor, &machine.SequenceEvent{Sequence: name, Action: machine.SequenceEvent_START})

	return Sequence{log: l, name: name, actor: actor}
}

// Phase runs a task and tells when it begins and ends. It answers the task's error.
func (s Sequence) Phase(phase, task string, run func() error) error {
	s.log.PublishFor(s.actor, &machine.PhaseEvent{Phase: phase, Action: machine.PhaseEvent_START})
	s.log.PublishFor(s.actor, &machine.TaskEvent{Task: task, Action: machine.TaskEvent_START})

	err := run()

	s.log.PublishFor(s.actor, &machine.TaskEvent{Task: task, Action: machine.TaskEvent_STOP})
	s.log.PublishFor(s.actor, &machine.PhaseEvent{Phase: phase, Action: machine.PhaseEvent_STOP})

	return err
}

// End tells that the sequence is over, and why it went wrong where it did.
func (s Sequence) End(err error) {
	event := &machine.SequenceEvent{Sequence: s.name, Action: machine.SequenceEvent_STOP}
	if err != nil {
		event.Error = &common.Error{Code: common.Code_FATAL, Message: err.Error()}
	}

	s.log.PublishFor(s.actor, event)
}
