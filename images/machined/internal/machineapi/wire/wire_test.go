package wire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/wire"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

func TestAServiceIsToldWhole(t *testing.T) {
	at := time.Unix(1000, 0)
	status := service.Status{
		ID: "etcd", State: service.Failed, Health: service.Health{Message: "refused", Changed: at},
		Events: []service.Event{{Time: at, State: service.Failed, Message: "exit code 1"}},
	}
	health := &machine.ServiceHealth{LastMessage: "refused", LastChange: timestamppb.New(at)}

	info := &machine.ServiceInfo{
		Id: "etcd", State: "Failed", Health: health,
		Events: &machine.ServiceEvents{Events: []*machine.ServiceEvent{{Msg: "exit code 1", State: "Failed", Ts: timestamppb.New(at)}}},
	}
	if diff := cmp.Diff(info, wire.ServiceInfo(status), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}

	event := &machine.ServiceStateEvent{
		Service: "etcd", Action: machine.ServiceStateEvent_FAILED, Message: "exit code 1", Health: health,
	}
	if diff := cmp.Diff(event, wire.ServiceEvent(status, service.Failed, "exit code 1"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestHealthThatNeverChangedHasNoTime(t *testing.T) {
	info := wire.ServiceInfo(service.Status{ID: "etcd", State: service.Initialized, Health: service.Health{Unknown: true}})

	if diff := cmp.Diff(&machine.ServiceHealth{Unknown: true}, info.Health, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
