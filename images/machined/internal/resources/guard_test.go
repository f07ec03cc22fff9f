package resources_test

import (
	"slices"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/cri"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"

	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/statetest"
)

func TestSecretsAreForAdminsOnly(t *testing.T) {
	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	api := statetest.Connect(t, st)
	tests := []struct {
		kind   resource.Kind
		secret bool
	}{
		{network.NewLinkStatus(network.NamespaceName, "").Metadata(), false},
		{config.NewMachineConfig(nil).Metadata(), true},
		{secrets.NewOSRoot(secrets.OSRootID).Metadata(), true},
		{secrets.NewKubernetes().Metadata(), true},
		{cri.NewRegistriesConfig().Metadata(), true},
	}

	for _, test := range tests {
		for _, who := range []role.Role{role.Admin, role.Operator, role.Reader} {
			t.Run(test.kind.Type()+" by "+string(who), func(t *testing.T) {
				_, err := api.List(statetest.As(t.Context(), who), test.kind)
				denied := client.StatusCode(err) == codes.PermissionDenied

				if want := test.secret && who != role.Admin; denied != want || !denied && err != nil {
					t.Errorf("denied: %t, want %t: %v", denied, want, err)
				}
			})
		}
	}
}

func TestEveryKindIsKnownByItsUsualNames(t *testing.T) {
	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	definitions, err := safe.StateListAll[*meta.ResourceDefinition](statetest.As(t.Context(), role.Reader), statetest.Connect(t, st))
	if err != nil {
		t.Fatal(err)
	}

	known := map[string][]string{}

	for definition := range definitions.All() {
		for _, alias := range definition.TypedSpec().AllAliases {
			known[alias] = append(known[alias], definition.TypedSpec().Type)
		}
	}

	// What the issue and the documentation of Talos call them.
	for _, alias := range []string{
		"members", "affiliates", "identities", "infos", "hostname", "addresses", "routes", "links", "resolvers", "timeservers", "nodename",
		"machinestatus", "machineconfig", "services", "svc", "kubeletspecs", "staticpods", "staticpodstatus", "manifests", "endpoints", "etcdmembers",
		"etcdspecs", "cpu", "memorymodules", "memorystats", "mounts", "kernelparams", "sysctls", "diagnostics", "extensions", "nodestatus", "kubeprismstatuses",
		"machinetype", "discoveryconfig", "securitystate", "platformmetadata", "version", "systeminformation", "rd",
	} {
		if len(known[alias]) == 0 {
			t.Errorf("talosctl get %s finds no kind", alias)
		}
	}

	if diff := slices.Compact(slices.Sorted(slices.Values(known["links"]))); len(diff) != 1 {
		t.Errorf("links are %q", diff)
	}
}
