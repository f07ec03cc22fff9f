package operate

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/protobuf/encoding/protojson"
)

// EventQuery says which events are meant. The zero value means those to come.
type EventQuery struct {
	// Tail is how many past events to begin with; negative is all.
	Tail int32
	// Within begins with the events of that last while, in whole seconds.
	Within time.Duration
	// Since begins behind the event with that ID.
	Since string
	// Actor keeps the events of one request only.
	Actor string
}

// Event is what happened on a node.
type Event struct {
	Node string `json:"node"`
	ID   string `json:"id"`
	// Type is the name of the payload's message, such as machine.PhaseEvent.
	Type  string `json:"type"`
	Actor string `json:"actor,omitempty"`
	// Payload is the message as JSON.
	Payload json.RawMessage `json:"payload"`

	message any
}

// Message is the payload: one of the machine API's event messages.
func (e Event) Message() any { return e.message }

// Events hands on events until the context ends.
func (f *Fleet) Events(ctx context.Context, query EventQuery, hear func(Event) error) error {
	request := &machine.EventsRequest{
		TailEvents: query.Tail, TailSeconds: int32(query.Within / time.Second), TailId: query.Since, WithActorId: query.Actor,
	}
	return receive(ctx, f, machine.MachineServiceClient.Events, request, func(node string, message *machine.Event) error {
		event, err := readEvent(node, message)
		if err != nil || event == nil {
			return err
		}
		return hear(*event)
	})
}

// readEvent answers nothing for an event of a kind that this version does not know, and for the empty one that opens
// every stream.
func readEvent(node string, message *machine.Event) (*Event, error) {
	decoded, err := client.UnmarshalEvent(message)
	if unknown := (client.EventNotSupportedError{}); errors.As(err, &unknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	payload, err := protojson.Marshal(decoded.Payload)
	if err != nil {
		return nil, err
	}
	return &Event{
		Node: node, ID: decoded.ID, Actor: decoded.ActorID, Payload: payload, message: decoded.Payload,
		Type: string(decoded.Payload.ProtoReflect().Descriptor().FullName()),
	}, nil
}
