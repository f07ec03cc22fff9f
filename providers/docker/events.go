package docker

import (
	"context"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// Watch calls heard at once, as anything may have happened before, and then whenever the state or the name of one
// of the cluster's containers changes. It ends with ctx, or with an error when the engine ends the stream.
func (p *Provider) Watch(ctx context.Context, cluster string, heard func()) error {
	// The client's goroutine ends with ctx only.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := p.engine.Events(ctx, client.EventsListOptions{Filters: changesOf(cluster)})
	heard()
	for {
		select {
		case <-stream.Messages:
			heard()
		case err := <-stream.Err:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return p.unreachable(err)
		}
	}
}

// changesOf leaves out what happens in a container that goes on as it was, such as a command that Bronze itself has run
// in it: who acts on events would wake himself.
func changesOf(cluster string) client.Filters {
	filters := filterBy(cluster).Add("type", string(events.ContainerEventType))
	for _, change := range []events.Action{
		events.ActionCreate, events.ActionStart, events.ActionRestart, events.ActionPause, events.ActionUnPause,
		events.ActionDie, events.ActionDestroy, events.ActionRename,
	} {
		filters.Add("event", string(change))
	}
	return filters
}
