//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func configurationLines() []line {
	return []line{
		{name: "read the config", talosctl: []string{"get", "machineconfig", "-o", "yaml"}, do: readConfig},
		{name: "try without doing", do: dryRun},
		{name: "try and let it roll back", do: tryConfig},
		{name: "patch", talosctl: []string{"patch", "machineconfig", "--patch", `{"machine":{"nodeLabels":{"compat/talosctl":"yes"}}}`}, do: patchConfig},
		{name: "stage", do: stageConfig},
		{name: "another type without a reboot", do: needsReboot},
		{name: "no config at all", do: brokenConfig},
	}
}

// machineConfig is the node's, as an administrator sees it.
func machineConfig(ctx context.Context, c *cluster) ([]byte, error) {
	found, err := safe.StateGetByID[*config.MachineConfig](ctx, c.client.COSI, config.ActiveID)
	if err != nil {
		return nil, fmt.Errorf("getting the machine config: %w", err)
	}

	return found.Container().Bytes()
}

func readConfig(ctx context.Context, c *cluster, _ string) error {
	text, err := machineConfig(ctx, c)

	return errors.Join(err, want(strings.Contains(string(text), "controlPlane:") && strings.Contains(string(text), "token:"), "the config is %q", text))
}

// labelled is the node's config with one more label.
func labelled(ctx context.Context, c *cluster, label string) ([]byte, error) {
	now, err := machineConfig(ctx, c)
	if err != nil {
		return nil, err
	}

	patch, err := configpatcher.LoadPatch(fmt.Appendf(nil, "machine: {nodeLabels: {%s: \"yes\"}}", label))
	if err != nil {
		return nil, err
	}

	patched, err := configpatcher.Apply(configpatcher.WithBytes(now), []configpatcher.Patch{patch})
	if err != nil {
		return nil, err
	}

	return patched.Bytes()
}

func apply(ctx context.Context, c *cluster, request *machine.ApplyConfigurationRequest) (*machine.ApplyConfiguration, error) {
	answer, err := c.client.ApplyConfiguration(ctx, request)

	return one(answer.GetMessages(), err)
}

// wantLabel waits until Kubernetes shows the label on the node, or no more.
func wantLabel(ctx context.Context, c *cluster, node, label string, there bool) error {
	return until(ctx, func(ctx context.Context) error {
		found, err := c.kubernetes.CoreV1().Nodes().Get(ctx, c.names[node], metav1.GetOptions{})
		if err != nil {
			return err
		}

		_, has := found.Labels[label]

		return want(has == there, "the label %s is on the node: %t, want %t", label, has, there)
	})
}

func dryRun(ctx context.Context, c *cluster, node string) error {
	text, err := labelled(ctx, c, "compat/dry")
	if err != nil {
		return err
	}

	got, err := apply(ctx, c, &machine.ApplyConfigurationRequest{Data: text, DryRun: true})
	if err != nil {
		return err
	}

	return errors.Join(wantLabel(ctx, c, node, "compat/dry", false),
		want(strings.Contains(got.GetModeDetails(), "compat/dry"), "what it would do is %q", got.GetModeDetails()))
}

func tryConfig(ctx context.Context, c *cluster, node string) error {
	text, err := labelled(ctx, c, "compat/try")
	if err != nil {
		return err
	}

	if _, err := apply(ctx, c, &machine.ApplyConfigurationRequest{
		Data: text, Mode: machine.ApplyConfigurationRequest_TRY, TryModeTimeout: durationpb.New(5 * time.Second),
	}); err != nil {
		return err
	}

	return errors.Join(wantLabel(ctx, c, node, "compat/try", true), wantLabel(ctx, c, node, "compat/try", false))
}

func patchConfig(ctx context.Context, c *cluster, node string) error {
	text, err := labelled(ctx, c, "compat/patch")
	if err != nil {
		return err
	}

	got, err := apply(ctx, c, &machine.ApplyConfigurationRequest{Data: text, Mode: machine.ApplyConfigurationRequest_AUTO})
	if err != nil {
		return err
	}

	return errors.Join(wantLabel(ctx, c, node, "compat/patch", true),
		want(got.GetMode() == machine.ApplyConfigurationRequest_NO_REBOOT, "a label was applied with %s", got.GetMode()))
}

func stageConfig(ctx context.Context, c *cluster, node string) error {
	text, err := labelled(ctx, c, "compat/staged")
	if err != nil {
		return err
	}

	_, err = apply(ctx, c, &machine.ApplyConfigurationRequest{Data: text, Mode: machine.ApplyConfigurationRequest_STAGED})

	return errors.Join(err, wantLabel(ctx, c, node, "compat/staged", false))
}

func needsReboot(ctx context.Context, c *cluster, _ string) error {
	now, err := machineConfig(ctx, c)
	if err != nil {
		return err
	}

	other := strings.NewReplacer("type: controlplane", "type: worker", "type: worker", "type: controlplane").Replace(string(now))
	_, err = apply(ctx, c, &machine.ApplyConfigurationRequest{Data: []byte(other), Mode: machine.ApplyConfigurationRequest_NO_REBOOT})

	return want(client.StatusCode(err) == codes.FailedPrecondition || client.StatusCode(err) == codes.InvalidArgument, "the error is %v", err)
}

func brokenConfig(ctx context.Context, c *cluster, _ string) error {
	for _, text := range []string{"", "machine: [", "version: v1alpha1\nmachine: {type: worker}\n", strings.Repeat("a: b\n", 1<<20)} {
		if _, err := apply(ctx, c, &machine.ApplyConfigurationRequest{Data: []byte(text)}); err == nil {
			return fmt.Errorf("a config of %d bytes that is none was applied", len(text))
		}
	}

	return nil
}
