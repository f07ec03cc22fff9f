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

// bootSequence is what Talos's clients wait for the end of.
const bootSequence = "boot"

// publishMachineStatus sums up the node whenever a service, a static pod or the stage changes.
func publishMachineStatus(ctx context.Context, opts Options) error {
	pods := make(chan state.Event)
	if err := opts.State.WatchKind(ctx, k8s.NewStaticPodStatus(k8s.NamespaceName, "").Metadata(), pods); err != nil {
		return fmt.Errorf("cannot watch static pods: %w", err)
	}

	nodes := make(chan state.Event)
	if err := opts.State.WatchKind(ctx, k8s.NewNodeStatus(k8s.NamespaceName, "").Metadata(), nodes); err != nil {
		return fmt.Errorf("cannot watch the Kubernetes node: %w", err)
	}

	var told summary

	for {
		services := opts.Services.Changed()
		stage, changed := opts.Stage.now()

		unmet, err := unmetConditions(ctx, opts)
		if err != nil {
			return err
		}

		if next := told.next(stage, unmet); !next.same(told) {
			if err := tell(ctx, opts, told, next); err != nil {
				return err
			}

			told = next
		}

		select {
		case <-services:
		case <-changed:
		case <-pods:
		case <-nodes:
		case <-ctx.Done():
			return nil
		}
	}
}

// summary is the machine's status, with what it depends on of the past.
type summary struct {
	spec runtime.MachineStatusSpec
	// booted is true once everything worked after all was started.
	booted bool
}

// next adds what was seen now. A machine whose services were all started is booting until they work for the first
// time; after that, one that does not makes it not ready, yet it runs. Whether Kubernetes calls the node ready has no part in
// that: a cluster that brings its own network makes it so long after the boot.
func (s summary) next(stage runtime.MachineStage, unmet []runtime.UnmetCondition) summary {
	ready := len(unmet) == 0
	working := !slices.ContainsFunc(unmet, func(condition runtime.UnmetCondition) bool { return condition.Name != nodeReady })
	next := summary{booted: s.booted || working && stage == runtime.MachineStageRunning}

	if stage == runtime.MachineStageRunning && !next.booted {
		stage = runtime.MachineStageBooting
	}

	next.spec = runtime.MachineStatusSpec{
		Stage:  stage,
		Status: runtime.MachineStatusStatus{Ready: ready, UnmetConditions: unmet},
	}

	return next
}

func (s summary) same(other summary) bool {
	return s.booted == other.booted && s.spec.Stage == other.spec.Stage && s.spec.Status.Ready == other.spec.Status.Ready &&
		slices.Equal(s.spec.Status.UnmetConditions, other.spec.Status.UnmetConditions)
}

// unmetConditions looks at all that the machine's status depends on.
func unmetConditions(ctx context.Context, opts Options) ([]runtime.UnmetCondition, error) {
	unmet := unmetServices(opts.Services.List())

	node, err := unmetNode(ctx, opts)
	if err != nil || opts.Kubelet == nil {
		return append(unmet, node...), err
	}

	pods, err := safe.StateListAll[*k8s.StaticPodStatus](ctx, opts.State)
	if err != nil {
		return nil, fmt.Errorf("listing static pods: %w", err)
	}

	unmet = append(unmet, unmetPods(slices.Collect(pods.All()), opts.Kubelet.Expected())...)

	return append(unmet, node...), nil
}

// nodeReady is the condition that depends on Kubernetes.
const nodeReady = "nodeReady"

// unmetNode says why the node does not work as part of Kubernetes, in the words of Talos.
func unmetNode(ctx context.Context, opts Options) ([]runtime.UnmetCondition, error) {
	node := opts.Settings()
	if node.Config == nil || node.Config.Machine().Kubelet().SkipNodeRegistration() {
		return nil, nil
	}

	status, err := safe.StateGetByID[*k8s.NodeStatus](ctx, opts.State, node.Hostname)

	switch {
	case state.IsNotFoundError(err):
		return []runtime.UnmetCondition{{Name: nodeReady, Reason: fmt.Sprintf("node %q status is not available yet", node.Hostname)}}, nil
	case err != nil:
		return nil, fmt.Errorf("reading the status of the Kubernetes node: %w", err)
	case !status.TypedSpec().NodeReady:
		return []runtime.UnmetCondition{{Name: nodeReady, Reason: fmt.Sprintf("node %q is not ready", node.Hostname)}}, nil
	default:
		return nil, nil
	}
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
		case status.State == service.Running && (status.Health.Healthy || !status.Checked):
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
func tell(ctx context.Context, opts Options, before, next summary) error {
	err := safe.StateModify(ctx, opts.State, runtime.NewMachineStatus(), func(r *runtime.MachineStatus) error {
		*r.TypedSpec() = next.spec
		return nil
	})
	if err != nil {
		return fmt.Errorf("publishing the machine status: %w", err)
	}

	if next.booted && !before.booted {
		opts.Events.Publish(&machine.SequenceEvent{Sequence: bootSequence, Action: machine.SequenceEvent_STOP})
	}

	opts.Events.Publish(statusEvent(next.spec))

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
