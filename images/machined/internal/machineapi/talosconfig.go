package machineapi

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// GenerateClientConfiguration is part of machine.MachineServiceServer.
func (s *server) GenerateClientConfiguration(
	_ context.Context, request *machine.GenerateClientConfigurationRequest,
) (*machine.GenerateClientConfigurationResponse, error) {
	roles, err := knownRoles(request.Roles)
	if err != nil {
		return nil, err
	}

	lifetime := request.CrtTtl.AsDuration()
	if lifetime <= 0 {
		return nil, status.Errorf(codes.InvalidArgument, "the certificate's time to live is %s and must be more than nothing", lifetime)
	}

	ca := s.opts.Config().Machine().Security().IssuingCA()

	client, err := clientCertificate(ca, roles, lifetime)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "signing a client certificate: %v", err)
	}

	name := contextName(s.opts.Config().Cluster().Name(), roles)

	talosconfig, err := clientconfig.NewConfig(name, nil, ca.Crt, client).Bytes()
	if err != nil {
		return nil, status.Errorf(codes.Internal, "writing a talosconfig: %v", err)
	}

	return &machine.GenerateClientConfigurationResponse{Messages: []*machine.GenerateClientConfiguration{{
		Ca: ca.Crt, Crt: client.Crt, Key: client.Key, Talosconfig: talosconfig,
	}}}, nil
}

// knownRoles refuses roles that mean nothing, as a certificate with them would be good for nothing.
func knownRoles(names []string) ([]string, error) {
	roles, unknown := role.Parse(names)
	if len(unknown) > 0 {
		return nil, status.Errorf(codes.InvalidArgument, "there are no roles %q: they are %s", unknown, strings.Join(role.All.Strings(), ", "))
	}

	if len(roles.Strings()) == 0 {
		return nil, status.Errorf(codes.InvalidArgument, "no role is named: they are %s", strings.Join(role.All.Strings(), ", "))
	}

	return roles.Strings(), nil
}

func clientCertificate(
	ca *sidero.PEMEncodedCertificateAndKey, roles []string, lifetime time.Duration,
) (*sidero.PEMEncodedCertificateAndKey, error) {
	authority, err := sidero.NewCertificateAuthorityFromCertificateAndKey(ca)
	if err != nil {
		return nil, err
	}

	now := time.Now()

	pair, err := sidero.NewKeyPair(authority,
		sidero.Organization(roles...),
		sidero.NotBefore(now.Add(-time.Minute)),
		sidero.NotAfter(now.Add(lifetime)),
		sidero.KeyUsage(x509.KeyUsageDigitalSignature),
		sidero.ExtKeyUsage([]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}))
	if err != nil {
		return nil, err
	}

	return sidero.NewCertificateAndKeyFromKeyPair(pair), nil
}

// contextName is the cluster's, and says what little one may do where that is not all.
func contextName(cluster string, roles []string) string {
	if slices.Equal(roles, []string{string(role.Admin)}) || len(roles) != 1 {
		return cluster
	}

	return strings.TrimPrefix(roles[0], role.Prefix) + "@" + cluster
}
