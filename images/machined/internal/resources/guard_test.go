package resources_test

import (
	"context"
	"slices"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/cri"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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

func TestAdminsMayHaveAffiliatesForgottenAndChangeNothingElse(t *testing.T) {
	const nodeID = "node-id"

	affiliate := cluster.NewAffiliate(cluster.NamespaceName, nodeID).Metadata()
	tests := []struct {
		name    string
		who     role.Role
		pointer resource.Pointer
		answer  error
		// as tells the error that clients know it by.
		as    func(error) bool
		asked bool
	}{
		{"an admin", role.Admin, affiliate, nil, func(err error) bool { return err == nil }, true},
		{"an admin, of one that nobody knows", role.Admin, affiliate, status.Error(codes.NotFound, "no such"), state.IsNotFoundError, true},
		{"an admin, where servers do not answer", role.Admin, affiliate, status.Error(codes.Unavailable, "10.5.0.2"), func(err error) bool { return client.StatusCode(err) == codes.Unavailable }, true},
		{"an operator", role.Operator, affiliate, nil, state.IsOwnerConflictError, false},
		{"a reader", role.Reader, affiliate, nil, state.IsOwnerConflictError, false},
		{"what one source told", role.Admin, cluster.NewAffiliate(cluster.RawNamespaceName, nodeID).Metadata(), nil, state.IsOwnerConflictError, false},
		{"a member", role.Admin, cluster.NewMember(cluster.NamespaceName, nodeID).Metadata(), nil, state.IsOwnerConflictError, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st, err := resources.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			var asked []string

			api := statetest.ConnectForgetting(t, st, func(_ context.Context, id string) error {
				asked = append(asked, id)
				return test.answer
			})

			err = api.Destroy(statetest.As(t.Context(), test.who), test.pointer)
			if !test.as(err) {
				t.Errorf("error %v", err)
			}

			if want := map[bool]int{true: 1}[test.asked]; len(asked) != want || want == 1 && asked[0] != nodeID {
				t.Errorf("asked to forget %q", asked)
			}
		})
	}
}

func TestANodeThatForgetsNobodyIsReadOnly(t *testing.T) {
	st, err := resources.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	err = statetest.Connect(t, st).Destroy(statetest.As(t.Context(), role.Admin), cluster.NewAffiliate(cluster.NamespaceName, "x").Metadata())
	if !state.IsOwnerConflictError(err) {
		t.Errorf("error %v", err)
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
