package machineapi

import (
	"testing"
	"time"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestEachStartOfAServiceIsAnotherIncarnation(t *testing.T) {
	at := func(second int64, state string) *machineapi.ServiceEvent {
		return &machineapi.ServiceEvent{State: state, Ts: timestamppb.New(time.Unix(second, 0))}
	}
	service := func(state string, events ...*machineapi.ServiceEvent) string {
		return incarnation(&machineapi.ServiceInfo{State: state, Events: &machineapi.ServiceEvents{Events: events}})
	}
	first := service("Running", at(1, "Starting"), at(2, "Running"))
	if again := service("Running", at(2, "Running")); first == "" || again != first {
		t.Errorf("%q, then %q", first, again)
	}
	if killed := service("Failed", at(1, "Starting"), at(2, "Running"), at(3, "Failed")); killed != "" {
		t.Errorf("one that does not run is %q", killed)
	}
	if second := service("Running", at(2, "Running"), at(3, "Failed"), at(4, "Running")); second == "" || second == first {
		t.Errorf("the second is %q, the first was %q", second, first)
	}
}
