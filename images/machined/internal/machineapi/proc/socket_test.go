package proc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/proc"
)

// The tables are of a little-endian machine, as all that Bronze runs on are.
func TestSocketsAreReadFromTheKernelsTables(t *testing.T) {
	const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

	tests := []struct {
		name, protocol, text string
		want                 []*machine.ConnectRecord
	}{
		{
			"one that listens", "tcp",
			heading + "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 12345 1 ffff8880 100 0 0 10 0\n",
			[]*machine.ConnectRecord{{
				L4Proto: "tcp", Localip: "127.0.0.1", Localport: 8080, Remoteip: "0.0.0.0", State: machine.ConnectRecord_LISTEN,
				Rxqueue: 3, Uid: 1000, Inode: 12345, Ref: 1, Pointer: 0xffff8880,
			}},
		},
		{
			"one of IPv6 with a timer", "tcp6",
			"   7: B80D0120000000000000000001000000:0050 00000000000000000000000001000000:C350 01 00000010:00000000 02:000A7214 00000001     0        5 99 4 ff 20 4 30 10 -1\n",
			[]*machine.ConnectRecord{{
				L4Proto: "tcp6", Localip: "2001:db8::1", Localport: 80, Remoteip: "::1", Remoteport: 50000,
				State: machine.ConnectRecord_ESTABLISHED, Txqueue: 16, Tr: machine.ConnectRecord_KEEPALIVE, Timerwhen: 0xa7214,
				Retrnsmt: 1, Timeout: 5, Inode: 99, Ref: 4, Pointer: 0xff,
			}},
		},
		{"no sockets", "udp", heading, nil},
		{"what is no address", "raw", "0: xyz:1 00:2 01 0:0 0:0 0 0 0 1 1 ff\n1: 0100007F:1\n", nil},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, proc.Sockets(test.protocol, test.text), protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
