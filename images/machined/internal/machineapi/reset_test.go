package machineapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestResetOptionsAreWhatTalosMeansByThem(t *testing.T) {
	wipe := func(label string) []*machine.ResetPartitionSpec {
		return []*machine.ResetPartitionSpec{{Label: label, Wipe: true}}
	}

	tests := []struct {
		name    string
		request *machine.ResetRequest
		want    ResetOptions
		code    codes.Code
	}{
		{"nothing named is all", &machine.ResetRequest{}, ResetOptions{State: true, Ephemeral: true}, codes.OK},
		{
			"graceful, then reboot", &machine.ResetRequest{Graceful: true, Reboot: true, Mode: machine.ResetRequest_SYSTEM_DISK},
			ResetOptions{Graceful: true, Reboot: true, State: true, Ephemeral: true}, codes.OK,
		},
		{"one partition", &machine.ResetRequest{SystemPartitionsToWipe: wipe("EPHEMERAL")}, ResetOptions{Ephemeral: true}, codes.OK},
		{
			"named and not to be wiped", &machine.ResetRequest{SystemPartitionsToWipe: []*machine.ResetPartitionSpec{{Label: "STATE"}}},
			ResetOptions{}, codes.OK,
		},
		{"a partition that a container has not", &machine.ResetRequest{SystemPartitionsToWipe: wipe("META")}, ResetOptions{}, codes.InvalidArgument},
		{"a disk", &machine.ResetRequest{UserDisksToWipe: []string{"/dev/sdb"}}, ResetOptions{}, codes.FailedPrecondition},
		{"the disks", &machine.ResetRequest{Mode: machine.ResetRequest_USER_DISKS}, ResetOptions{}, codes.FailedPrecondition},
		{"no mode that there is", &machine.ResetRequest{Mode: 7}, ResetOptions{}, codes.InvalidArgument},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := resetOptions(test.request)
			if status.Code(err) != test.code {
				t.Fatalf("resetOptions = %v, want %s", err, test.code)
			}

			if err == nil {
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
