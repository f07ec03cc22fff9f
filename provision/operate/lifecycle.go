package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/provision"
)

// Reboot restarts the nodes. It returns when they have taken the order.
func (f *Fleet) Reboot(ctx context.Context, mode machine.RebootRequest_Mode) error {
	_, err := ask(ctx, f, machine.MachineServiceClient.Reboot, &machine.RebootRequest{Mode: mode})
	return err
}

// Shutdown ends the nodes; with force, without moving their workloads away first.
func (f *Fleet) Shutdown(ctx context.Context, force bool) error {
	_, err := ask(ctx, f, machine.MachineServiceClient.Shutdown, &machine.ShutdownRequest{Force: force})
	return err
}

// Reset takes the nodes' data away, and then reboots or ends them.
func (f *Fleet) Reset(ctx context.Context, request *machine.ResetRequest) error {
	_, err := ask(ctx, f, machine.MachineServiceClient.Reset, request)
	return err
}

// Boots tells one run of each node from the next. It is kept before a node is told to restart.
type Boots map[string]time.Time

// Boots asks the nodes for their current runs.
func (f *Fleet) Boots(ctx context.Context) (Boots, error) {
	times := make([]time.Time, len(f.nodes))
	err := f.each(ctx, func(ctx context.Context, i int, n node) error {
		boot, _, err := n.boot(ctx)
		times[i] = boot
		return err
	})
	boots := Boots{}
	for i, n := range f.nodes {
		boots[n.name] = times[i]
	}
	return boots, err
}

// boot is when the node's state began to be, which is anew with each run, and what stage of a run it is in.
func (n node) boot(ctx context.Context) (began time.Time, stage string, err error) {
	found, err := n.resources(ctx, ResourceQuery{Type: "MachineStatuses.runtime.talos.dev", ID: "machine"})
	if err != nil {
		return time.Time{}, "", err
	}
	document, err := found[0].Document()
	if err != nil {
		return time.Time{}, "", err
	}
	if spec, isMap := document["spec"].(map[string]any); isMap {
		stage, _ = spec["stage"].(string)
	}
	return found[0].Resource.Metadata().Created(), stage, nil
}

// AwaitBoot waits until every node runs again, in another run than before. Waiting hears of each new reason why it does
// not yet.
func (f *Fleet) AwaitBoot(ctx context.Context, before Boots, waiting func(node, why string)) error {
	return f.await(ctx, "to run again", waiting, func(ctx context.Context, n node) (string, error) {
		began, stage, err := n.boot(ctx)
		switch {
		case err != nil:
			return "", explain(err)
		case began.Equal(before[n.name]):
			return "it has not gone down yet", nil
		case stage != "running":
			return "it is " + stage, nil
		default:
			return "", nil
		}
	})
}

// AwaitDown waits until no node answers any more.
func (f *Fleet) AwaitDown(ctx context.Context, waiting func(node, why string)) error {
	return f.await(ctx, "to go down", waiting, func(ctx context.Context, n node) (string, error) {
		_, stage, err := n.boot(ctx)
		switch client.StatusCode(err) {
		case codes.Unavailable, codes.DeadlineExceeded:
			return "", nil
		case codes.OK:
			return "it is " + stage, nil
		default:
			return "", explain(err)
		}
	})
}

// await waits for a condition of each node, side by side.
func (f *Fleet) await(
	ctx context.Context, what string, waiting func(node, why string), check func(context.Context, node) (string, error),
) error {
	return f.each(ctx, func(ctx context.Context, _ int, n node) error {
		condition := provision.Condition{
			Name:  fmt.Sprintf("%s %s", n.name, what),
			Check: func(ctx context.Context) (string, error) { return check(ctx, n) },
		}
		return condition.Wait(ctx, func(why string) { waiting(n.name, why) })
	})
}
