package machineapi

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
)

// generate asks a control plane for a talosconfig.
func generate(
	t *testing.T, lifetime time.Duration, roles ...string,
) (*pkitest.Cluster, *machine.GenerateClientConfiguration, error) {
	t.Helper()

	cluster := pkitest.NewCluster(t)
	cfg := cluster.ControlPlaneConfig()
	s := &server{opts: Options{Config: func() config.Provider { return cfg }}}

	answer, err := s.GenerateClientConfiguration(t.Context(), &machine.GenerateClientConfigurationRequest{
		Roles: roles, CrtTtl: durationpb.New(lifetime),
	})
	if err != nil {
		return nil, nil, err
	}

	return cluster, answer.Messages[0], nil
}

func TestAGeneratedCertificateBearsTheRolesAndLivesAsLongAsAsked(t *testing.T) {
	cluster, got, err := generate(t, time.Hour, "os:reader", "os:etcd:backup")
	if err != nil {
		t.Fatal(err)
	}

	block, _ := pem.Decode(got.Crt)

	crt, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := crt.Verify(x509.VerifyOptions{
		Roots: cluster.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		t.Error(err)
	}

	if diff := cmp.Diff([]string{"os:etcd:backup", "os:reader"}, slices.Sorted(slices.Values(crt.Subject.Organization))); diff != "" {
		t.Error(diff)
	}

	if left := time.Until(crt.NotAfter); left > time.Hour || left < 59*time.Minute {
		t.Errorf("it lives %s", left)
	}

	all, err := clientconfig.FromBytes(got.Talosconfig)
	if err != nil {
		t.Fatal(err)
	}

	if one := all.Contexts[all.Context]; one == nil || one.Crt == "" || one.Key == "" || one.CA == "" {
		t.Errorf("the talosconfig is %s", got.Talosconfig)
	}
}

func TestWhatMakesNoCertificateIsRefused(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration
		roles    []string
	}{
		{"no role", time.Hour, nil},
		{"an empty role", time.Hour, []string{""}},
		{"an unknown role", time.Hour, []string{"os:reader", "os:king"}},
		{"no time", 0, []string{"os:reader"}},
		{"less than no time", -time.Hour, []string{"os:reader"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := generate(t, test.lifetime, test.roles...); status.Code(err) != codes.InvalidArgument {
				t.Error(err)
			}
		})
	}
}

func TestContextsSayWhatLittleOneMayDo(t *testing.T) {
	for _, test := range []struct {
		roles []string
		want  string
	}{
		{[]string{"os:admin"}, "dev"}, {[]string{"os:reader"}, "reader@dev"}, {[]string{"os:operator", "os:reader"}, "dev"},
	} {
		if got := contextName("dev", test.roles); got != test.want {
			t.Errorf("%q become %q", test.roles, got)
		}
	}
}
