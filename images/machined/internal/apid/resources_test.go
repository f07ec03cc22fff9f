package apid_test

import (
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/client"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	runtimeres "github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	serviceres "github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
)

func TestResourcesOfANamedNodeAreReadable(t *testing.T) {
	c := startCluster(t)
	ctx := client.WithNode(limited(t), worker)
	reader := c.client(t, role.Reader).COSI

	hostname, err := reader.WatchFor(ctx, network.NewHostnameStatus(network.NamespaceName, network.HostnameID).Metadata(),
		state.WithEventTypes(state.Created))
	if err != nil {
		t.Fatal(err)
	}

	if got := hostname.(*network.HostnameStatus).TypedSpec().Hostname; got != "node-127.0.0.2" {
		t.Errorf("hostname: %q", got)
	}

	running, err := reader.WatchFor(ctx, serviceres.NewService("kubelet").Metadata(), state.WithEventTypes(state.Created, state.Updated), state.WithCondition(
		func(r resource.Resource) (bool, error) { return r.(*serviceres.Service).TypedSpec().Running, nil }))
	if err != nil {
		t.Fatal(err)
	}

	if !running.(*serviceres.Service).TypedSpec().Unknown {
		t.Error("a service without a health check has a health")
	}

	machineStatus, err := reader.WatchFor(ctx, runtimeres.NewMachineStatus().Metadata(), state.WithEventTypes(state.Created, state.Updated), state.WithCondition(
		func(r resource.Resource) (bool, error) {
			return r.(*runtimeres.MachineStatus).TypedSpec().Status.Ready, nil
		}))
	if err != nil {
		t.Fatal(err)
	}

	if got := machineStatus.(*runtimeres.MachineStatus).TypedSpec().Stage; got != runtimeres.MachineStageRunning {
		t.Errorf("stage: %s", got)
	}

	definitions, err := safe.StateListAll[*meta.ResourceDefinition](ctx, reader)
	if err != nil {
		t.Fatal(err)
	}

	if definitions.Len() == 0 {
		t.Error("no resource definitions: talosctl could not resolve names")
	}
}

func TestSecretResourcesAreForAdmins(t *testing.T) {
	c := startCluster(t)
	ctx := client.WithNode(limited(t), worker)

	cfg, err := c.client(t, role.Admin).COSI.WatchFor(ctx, configres.NewMachineConfig(nil).Metadata(), state.WithEventTypes(state.Created))
	if err != nil {
		t.Fatal(err)
	}

	if got := cfg.(*configres.MachineConfig).Config().Machine().Security().Token(); got != pkitest.Token {
		t.Errorf("token: %q", got)
	}

	operator := c.client(t, role.Operator).COSI
	if _, err := operator.Get(ctx, configres.NewMachineConfig(nil).Metadata()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an operator reads secrets: %v", err)
	}

	err = c.client(t, role.Admin).COSI.Create(ctx, network.NewHostnameStatus(network.NamespaceName, "other"))
	// The client takes PermissionDenied for the error of a resource that somebody else owns, which fits.
	if !state.IsOwnerConflictError(err) {
		t.Errorf("an admin writes: %v", err)
	}
}
