package machineapi

import (
	"net"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestNetstatKnowsWhoseASocketIs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	port := listener.Addr().(*net.TCPAddr).Port

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	for filter, want := range map[machine.NetstatRequest_Filter]map[machine.ConnectRecord_State]int{
		machine.NetstatRequest_LISTENING: {machine.ConnectRecord_LISTEN: 1},
		machine.NetstatRequest_CONNECTED: {machine.ConnectRecord_ESTABLISHED: 1},
		machine.NetstatRequest_ALL:       {machine.ConnectRecord_LISTEN: 1, machine.ConnectRecord_ESTABLISHED: 1},
	} {
		t.Run(filter.String(), func(t *testing.T) {
			answer, err := (&server{}).Netstat(t.Context(), &machine.NetstatRequest{
				Filter: filter, Feature: &machine.NetstatRequest_Feature{Pid: true}, L4Proto: &machine.NetstatRequest_L4Proto{Tcp: true},
			})
			if err != nil {
				t.Fatal(err)
			}

			got := map[machine.ConnectRecord_State]int{}

			for _, record := range answer.Messages[0].Connectrecord {
				if int(record.Localport) != port {
					continue
				}

				// The accepting side of the connection is nobody's until it is accepted.
				if record.State == machine.ConnectRecord_LISTEN && int(record.Process.GetPid()) != os.Getpid() {
					t.Errorf("the listener is of %v", record.Process)
				}

				got[record.State]++
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNetstatLooksIntoNamedNetworksOnly(t *testing.T) {
	for _, name := range []string{"none", "../../proc/self/ns/net", ""} {
		_, err := (&server{}).Netstat(t.Context(), &machine.NetstatRequest{Netns: &machine.NetstatRequest_NetNS{Netns: []string{name}}})
		if status.Code(err) != codes.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestProtocolsAreAllUnlessSomeAreNamed(t *testing.T) {
	if diff := cmp.Diff([]string{"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6"}, protocols(nil)); diff != "" {
		t.Error(diff)
	}

	if diff := cmp.Diff([]string{"tcp6", "raw"}, protocols(&machine.NetstatRequest_L4Proto{Raw: true, Tcp6: true})); diff != "" {
		t.Error(diff)
	}
}
