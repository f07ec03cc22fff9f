package apid

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// FuzzRoute is for what a caller decides: whom a call is for; and for what another node does: the bytes that it answers.
func FuzzRoute(f *testing.F) {
	answer, err := proto.Marshal(&machine.HostnameResponse{Messages: []*machine.Hostname{{Hostname: "a"}, {}}})
	if err != nil {
		f.Fatal(err)
	}

	f.Add("", "", "/machine.MachineService/Hostname", answer)
	f.Add("10.5.0.2", "", "/cosi.resource.State/Get", []byte{0xff})
	f.Add("", "10.5.0.2,10.5.0.3,10.5.0.2", "/machine.MachineService/Logs", []byte{})
	f.Add("a,b", "c", "machine", []byte{0x0a, 0x80, 0x80, 0x80, 0x80, 0x08})

	f.Fuzz(func(t *testing.T, node, nodes, method string, answer []byte) {
		checkRoute(t, node, nodes, method)
		checkMark(t, answer)
	})
}

// checkRoute wants that a call goes to each node that was named, once, or is refused.
func checkRoute(t *testing.T, node, nodes, method string) {
	t.Helper()

	named := metadata.MD{}
	if node != "" {
		named.Set("node", strings.Split(node, ",")...)
	}

	if nodes != "" {
		named.Set("nodes", strings.Split(nodes, ",")...)
	}

	got, err := routeOf(metadata.NewIncomingContext(context.Background(), named), method)
	if err != nil {
		return
	}

	want := named["node"]
	if nodes != "" {
		want = named["nodes"]
	}

	for _, target := range want {
		if !slices.Contains(got.targets, target) {
			t.Errorf("%q is not among %q", target, got.targets)
		}
	}

	slices.Sort(got.targets)

	if len(slices.Compact(got.targets)) != len(got.targets) || len(got.targets) > targetLimit || got.many != (nodes != "") {
		t.Errorf("%q and %q become %+v", node, nodes, got)
	}
}

// checkMark wants that marks change nothing else, and that every message has one.
func checkMark(t *testing.T, answer []byte) {
	t.Helper()

	marked, err := (&backend{target: "10.5.0.2"}).AppendInfo(false, answer)

	var before, after machine.HostnameResponse
	if proto.Unmarshal(answer, &before) != nil {
		return
	}

	if err != nil {
		t.Fatalf("%x cannot be marked: %v", answer, err)
	}

	if err := proto.Unmarshal(marked, &after); err != nil {
		t.Fatalf("%x became %x: %v", answer, marked, err)
	}

	if len(before.Messages) != len(after.Messages) {
		t.Fatalf("%d messages became %d", len(before.Messages), len(after.Messages))
	}

	for i, message := range after.Messages {
		if message.Metadata.GetHostname() != "10.5.0.2" || message.Hostname != before.Messages[i].Hostname {
			t.Errorf("%v became %v", before.Messages[i], message)
		}
	}
}
