package machineapi

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc"

	"github.com/bronze-os/bronze/images/machined/internal/events"
)

// Events is part of machine.MachineServiceServer. The first message is empty: clients take it as the sign that the
// stream stands.
func (s *server) Events(request *machine.EventsRequest, stream grpc.ServerStreamingServer[machine.Event]) error {
	if err := stream.Send(&machine.Event{}); err != nil {
		return err
	}

	return s.opts.Events.Follow(stream.Context(), selection(request, time.Now()), func(event events.Event) error {
		return stream.Send(&machine.Event{Id: event.ID, ActorId: event.Actor, Data: event.Payload})
	})
}

func selection(request *machine.EventsRequest, now time.Time) events.Selection {
	want := events.Selection{
		Tail:    int(request.TailEvents),
		AfterID: request.TailId,
		Actor:   request.WithActorId,
	}

	if request.TailSeconds > 0 {
		want.Since = now.Add(-time.Duration(request.TailSeconds) * time.Second)
	}

	return want
}

// actor answers the ID by which the events of what a call starts are known, and a context that bears it and outlives the
// call.
func (s *server) actor(ctx context.Context, sequence string) (context.Context, string) {
	id := rand.Text()

	s.opts.Log.InfoContext(ctx, "asked for "+sequence, "actor", id)

	return events.WithActor(context.WithoutCancel(ctx), id), id
}
