package etcd

import (
	stdx509 "crypto/x509"
	"fmt"
	"net"
	"time"

	"github.com/siderolabs/crypto/x509"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// Files answers the certificates, and the data directory with the mode that etcd asks for.
func (m Member) Files() ([]rootfs.Step, error) {
	ca := m.Config.Cluster().Etcd().CA()
	steps := []rootfs.Step{
		rootfs.Dir{Path: m.dataDir(), Mode: 0o700},
		rootfs.File{Path: m.secret("ca.crt"), Content: string(ca.Crt), Mode: 0o644},
	}

	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(ca)
	if err != nil {
		return nil, fmt.Errorf("cannot read etcd's certificate authority: %w", err)
	}

	for _, name := range []string{"server", "peer", "admin"} {
		pair, err := x509.NewKeyPair(authority, m.certificate(name)...)
		if err != nil {
			return nil, fmt.Errorf("cannot sign etcd's %s certificate: %w", name, err)
		}

		made := x509.NewCertificateAndKeyFromKeyPair(pair)
		steps = append(steps,
			rootfs.File{Path: m.secret(name + ".crt"), Content: string(made.Crt), Mode: 0o644},
			rootfs.File{Path: m.secret(name + ".key"), Content: string(made.Key), Mode: 0o600})
	}

	return steps, nil
}

func (m Member) certificate(name string) []x509.Option {
	usage := []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}
	if name != "admin" {
		usage = append(usage, stdx509.ExtKeyUsageServerAuth)
	}

	return []x509.Option{
		x509.CommonName(m.Name),
		x509.DNSNames([]string{m.Name, "localhost"}),
		x509.IPAddresses([]net.IP{m.IP.AsSlice(), net.IPv4(127, 0, 0, 1), net.IPv6loopback}),
		x509.NotBefore(time.Now().Add(-time.Hour)),
		x509.NotAfter(time.Now().Add(365 * 24 * time.Hour)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageKeyEncipherment),
		x509.ExtKeyUsage(usage),
	}
}
