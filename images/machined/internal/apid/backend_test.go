package apid

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestAppendInfoMarksEveryMessage(t *testing.T) {
	answer, err := proto.Marshal(&machine.HostnameResponse{Messages: []*machine.Hostname{{Hostname: "a"}, {Hostname: "b"}, {}}})
	if err != nil {
		t.Fatal(err)
	}

	marked, err := (&backend{target: "10.5.0.2"}).AppendInfo(false, answer)
	if err != nil {
		t.Fatal(err)
	}

	var got machine.HostnameResponse
	if err := proto.Unmarshal(marked, &got); err != nil {
		t.Fatal(err)
	}

	from := &common.Metadata{Hostname: "10.5.0.2"}
	want := &machine.HostnameResponse{Messages: []*machine.Hostname{
		{Hostname: "a", Metadata: from}, {Hostname: "b", Metadata: from}, {Metadata: from},
	}}

	if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestAppendInfoRefusesWhatIsNoMessage(t *testing.T) {
	if _, err := (&backend{}).AppendInfo(false, []byte{0xff}); err == nil {
		t.Error("half a tag passes")
	}
}

func TestLocalTargetsAreTheNodesOwnNames(t *testing.T) {
	own := func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.5.0.2/24")} }
	isLocal := LocalTargets("node-1", own)

	for target, want := range map[string]bool{
		"10.5.0.2": true, "node-1": true, "127.0.0.1": true, "::1": true, "localhost": true,
		"10.5.0.3": false, "node-2": false, "": false,
	} {
		if got := isLocal(target); got != want {
			t.Errorf("%q: %t", target, got)
		}
	}
}
