package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/provision/machineconfig"
)

// Applied is what a node says of a machine config that it was given.
type Applied = Answer[*machine.ApplyConfiguration]

// Application says how a machine config is to take effect.
type Application struct {
	Mode machine.ApplyConfigurationRequest_Mode
	// DryRun only asks what would happen.
	DryRun bool
	// TryFor is after how long mode TRY takes the config back.
	TryFor time.Duration
}

func (a Application) request(config []byte) *machine.ApplyConfigurationRequest {
	return &machine.ApplyConfigurationRequest{
		Data: config, Mode: a.Mode, DryRun: a.DryRun, TryModeTimeout: durationpb.New(a.TryFor),
	}
}

// ParseMode reads auto, no-reboot, reboot, staged or try.
func ParseMode(text string) (machine.ApplyConfigurationRequest_Mode, error) {
	modes := map[string]machine.ApplyConfigurationRequest_Mode{
		"auto":      machine.ApplyConfigurationRequest_AUTO,
		"no-reboot": machine.ApplyConfigurationRequest_NO_REBOOT,
		"reboot":    machine.ApplyConfigurationRequest_REBOOT,
		"staged":    machine.ApplyConfigurationRequest_STAGED,
		"try":       machine.ApplyConfigurationRequest_TRY,
	}
	mode, known := modes[text]
	if !known {
		return 0, fmt.Errorf("want auto, no-reboot, reboot, staged or try")
	}
	return mode, nil
}

// Apply gives every node the same machine config.
func (f *Fleet) Apply(ctx context.Context, config []byte, how Application) ([]Applied, error) {
	return ask(ctx, f, machine.MachineServiceClient.ApplyConfiguration, how.request(config))
}

// PatchConfig patches each node's own machine config: strategic merge or JSON patches, one after the other.
func (f *Fleet) PatchConfig(ctx context.Context, patches []string, how Application) ([]Applied, error) {
	return askEach(ctx, f, func(ctx context.Context, n node) (*machine.ApplyConfigurationResponse, error) {
		config, err := n.machineConfig(ctx)
		if err != nil {
			return nil, err
		}
		patched, err := machineconfig.Patch(config, patches)
		if err != nil {
			return nil, err
		}
		return n.client.MachineClient.ApplyConfiguration(ctx, how.request(patched))
	})
}

// machineConfig is the config that the node runs with, secrets and all.
func (n node) machineConfig(ctx context.Context) ([]byte, error) {
	const active = "v1alpha1"
	found, err := n.resources(ctx, ResourceQuery{Type: "MachineConfigs.config.talos.dev", ID: active})
	if err != nil {
		return nil, fmt.Errorf("reading the machine config: %w", explain(err))
	}
	document, err := found[0].Document()
	if err != nil {
		return nil, err
	}
	text, isText := document["spec"].(string)
	if !isText {
		return nil, status.Error(codes.Internal, "the node's machine config is not the text that it should be")
	}
	return []byte(text), nil
}
