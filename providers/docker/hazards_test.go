package docker

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/provision"
)

func TestAPartitionComesInPlaceOfAnEarlierOne(t *testing.T) {
	clear := []string{"add table inet bronze_partition", "delete table inet bronze_partition"}
	for name, test := range map[string]struct {
		apart bool
		want  []string
	}{
		"joined": {false, clear},
		"apart": {true, append(clear,
			"add table inet bronze_partition",
			"add chain inet bronze_partition in { type filter hook prerouting priority raw; }",
			"add rule inet bronze_partition in iifname eth0 drop",
			"add chain inet bronze_partition out { type filter hook postrouting priority raw; }",
			"add rule inet bronze_partition out oifname eth0 drop",
		)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, partitionRules(test.apart)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHarmToAMachineThatDoesNotRunIsAnError(t *testing.T) {
	provider := realEngine(t)
	oneNode(t, provider)
	observed, err := provider.Observe(t.Context(), prefix())
	if err != nil {
		t.Fatal(err)
	}
	machine := observed.Machines[0]
	if err := provider.Turn(t.Context(), machine, provision.MachinePaused); err != nil {
		t.Fatal(err)
	}
	for name, harm := range map[string]func(context.Context) error{
		"partition": func(ctx context.Context) error { return provider.Partition(ctx, machine, true) },
		"kill":      func(ctx context.Context) error { return provider.Kill(ctx, machine, "kubelet") },
	} {
		if err := harm(t.Context()); err == nil {
			t.Errorf("%s of a paused machine: no error", name)
		}
	}
	if err := provider.Turn(t.Context(), machine, provision.MachineRunning); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := provider.Kill(cancelled, machine, "kubelet"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
