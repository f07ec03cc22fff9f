package resources

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// publishMachineStatus sums up the node whenever a service, a static pod or the stage changes.
func publishMachineStatus(ctx context.Context, opts Options) error {
	pods := make(chan state.Event)
	if err := opts.State.WatchKind(ctx, k8s.NewStaticPodStatus(k8s.NamespaceName, "").Metadata(), pods); err != nil {
		return fmt.Errorf("cannot watch static pods: %w", err)
	}

	var told runtime.MachineStatusSpec

	for {
		services := opts.Services.Changed()
		stage, changed := opts.Stage.now()

		next, err := sumUp(ctx, opts, stage)
		if err != nil {
			return err
		}

		if next.Stage != stage {
			opts.Stage.Set(next.Stage)
		}

		if !sameStatus(told, next) {
			if err := tell(ctx, opts, next); err != nil {
				return err
			}

			told = next
		}

		select {
		case <-services:
		case <-changed:
		case <-pods:
		case <-ctx.Done():
			return nil
		}
	}
}

// sumUp looks at all that the machine's status depends on.
func sumUp(ctx context.Context, opts Options, stage runtime.MachineStage) (runtime.MachineStatusSpec, error) {
	unmet := unmetServices(opts.Services.List())

	if opts.Kubelet != nil {
		pods, err := safe.StateListAll[*k8s.StaticPodStatus](ctx, opts.State)
		if err != nil {
			return runtime.MachineStatusSpec{}, fmt.Errorf("listing static pods: %w", err)
		}

		unmet = append(unmet, unmetPods(slices.Collect(pods.All()), opts.Kubelet.Expected)...)
	}

	if stage == runtime.MachineStageBooting && len(unmet) == 0 {
		stage = runtime.MachineStageRunning
	}

	return runtime.MachineStatusSpec{
		Stage:  stage,
		Status: runtime.MachineStatusStatus{Ready: len(unmet) == 0, UnmetConditions: unmet},
	}, nil
}

// unmetServices says which services are not as they should be. One that was stopped by a user is; a node without any
// has not begun to boot.
func unmetServices(all []service.Status) []runtime.UnmetCondition {
	if len(all) == 0 {
		return []runtime.UnmetCondition{{Name: "services", Reason: "none are known yet"}}
	}

	var waiting []string

	for _, status := range all {
		switch {
		case status.State == service.Finished:
		case status.State == service.Running && (status.Health.Unknown || status.Health.Healthy):
		default:
			waiting = append(waiting, status.ID)
		}
	}

	if len(waiting) == 0 {
		return nil
	}

	return []runtime.UnmetCondition{{Name: "services", Reason: "not running and healthy: " + strings.Join(waiting, ", ")}}
}

// tell publishes the status as resource and event.
func tell(ctx context.Context, opts Options, next runtime.MachineStatusSpec) error {
	err := safe.StateModify(ctx, opts.State, runtime.NewMachineStatus(), func(r *runtime.MachineStatus) error {
		*r.TypedSpec() = next
		return nil
	})
	if err != nil {
		return fmt.Errorf("publishing the machine status: %w", err)
	}

	opts.Events.Publish(statusEvent(next))

	return nil
}

func statusEvent(spec runtime.MachineStatusSpec) *machine.MachineStatusEvent {
	status := &machine.MachineStatusEvent_MachineStatus{Ready: spec.Status.Ready}

	for _, condition := range spec.Status.UnmetConditions {
		status.UnmetConditions = append(status.UnmetConditions,
			&machine.MachineStatusEvent_MachineStatus_UnmetCondition{Name: condition.Name, Reason: condition.Reason})
	}

	return &machine.MachineStatusEvent{
		// Both number the stages alike.
		Stage:  machine.MachineStatusEvent_MachineStage(spec.Stage),
		Status: status,
	}
}

func sameStatus(a, b runtime.MachineStatusSpec) bool {
	return a.Stage == b.Stage && a.Status.Ready == b.Status.Ready &&
		slices.Equal(a.Status.UnmetConditions, b.Status.UnmetConditions)
}
