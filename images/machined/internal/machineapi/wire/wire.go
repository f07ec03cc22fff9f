// Package wire puts what the supervisor says into machinery's messages, for the calls and the events that tell it.
package wire

import (
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// ServiceInfo tells all of a service.
func ServiceInfo(status service.Status) *machine.ServiceInfo {
	events := &machine.ServiceEvents{}

	for _, event := range status.Events {
		events.Events = append(events.Events, &machine.ServiceEvent{
			Msg:   event.Message,
			State: string(event.State),
			Ts:    timestamp(event.Time),
		})
	}

	return &machine.ServiceInfo{
		Id:     status.ID,
		State:  string(status.State),
		Events: events,
		Health: serviceHealth(status.Health),
	}
}

// ServiceEvent tells that a service entered a state.
func ServiceEvent(status service.Status, state service.State, message string) *machine.ServiceStateEvent {
	return &machine.ServiceStateEvent{
		Service: status.ID,
		Action:  action(state),
		Message: message,
		Health:  serviceHealth(status.Health),
	}
}

func serviceHealth(health service.Health) *machine.ServiceHealth {
	return &machine.ServiceHealth{
		Unknown:     health.Unknown,
		Healthy:     health.Healthy,
		LastMessage: health.Message,
		LastChange:  timestamp(health.Changed),
	}
}

// timestamp leaves out a time that never was.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}

	return timestamppb.New(t)
}

func action(state service.State) machine.ServiceStateEvent_Action {
	switch state {
	case service.Waiting:
		return machine.ServiceStateEvent_WAITING
	case service.Preparing:
		return machine.ServiceStateEvent_PREPARING
	case service.Running:
		return machine.ServiceStateEvent_RUNNING
	case service.Stopping:
		return machine.ServiceStateEvent_STOPPING
	case service.Finished:
		return machine.ServiceStateEvent_FINISHED
	case service.Failed:
		return machine.ServiceStateEvent_FAILED
	default:
		return machine.ServiceStateEvent_INITIALIZED
	}
}
