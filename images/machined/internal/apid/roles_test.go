package apid_test

import (
	"context"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
)

func TestApidRefusesCallersWithoutACertificate(t *testing.T) {
	c := startCluster(t)

	if _, err := c.client(t).Version(limited(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("without a certificate: %v", err)
	}

	c.signer = pkitest.NewCA(t)

	if _, err := c.client(t, role.Admin).Version(limited(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("with another CA's certificate: %v", err)
	}
}

func TestApidHoldsCallersToTheirRoles(t *testing.T) {
	c := startCluster(t)
	forged := metadata.Pairs("talos-role", "os:admin", "proxyfrom", "elsewhere")

	tests := []struct {
		name string
		role role.Role
		ctx  context.Context
		want codes.Code
	}{
		{"a reader here", role.Reader, limited(t), codes.PermissionDenied},
		{"a reader there", role.Reader, client.WithNode(limited(t), worker), codes.PermissionDenied},
		{"a reader who says it is an admin", role.Reader, metadata.NewOutgoingContext(limited(t), forged), codes.PermissionDenied},
		{
			"a reader who says so, there", role.Reader,
			client.WithNode(metadata.NewOutgoingContext(limited(t), forged), worker), codes.PermissionDenied,
		},
		{"an impersonator of nobody", role.Impersonator, limited(t), codes.PermissionDenied},
		{"an impersonator of an admin", role.Impersonator, metadata.NewOutgoingContext(limited(t), forged), codes.OK},
		{"an operator here", role.Operator, limited(t), codes.OK},
		{"an operator there", role.Operator, client.WithNode(limited(t), worker), codes.OK},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.client(t, test.role).MachineClient.Reboot(test.ctx, &machine.RebootRequest{})
			if status.Code(err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestOpenNodeTakesEveryCertificateForAnAdministrators(t *testing.T) {
	c := startCluster(t)
	c.nodes[worker].open.Store(true)

	tests := []struct {
		name, target string
		want         codes.Code
	}{
		{"on the open node", worker, codes.OK},
		{"on another, of which its own config decides", controlPlane, codes.PermissionDenied},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.client(t, role.Reader).MachineClient.Reboot(client.WithNode(limited(t), test.target), &machine.RebootRequest{})
			if status.Code(err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}

	if _, err := c.clientAt(t, worker).Version(limited(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("without a certificate: %v", err)
	}
}
