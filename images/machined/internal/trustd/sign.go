package trustd

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
)

var errForeign = errors.New("the request does not name the address that it comes from")

// sign signs a request as a server certificate of a worker at the given address.
func sign(cfg config.Config, hostname string, address netip.Addr, request []byte) ([]byte, error) {
	csr, err := parse(request)
	if err != nil {
		return nil, err
	}

	narrowed, err := narrow(csr, address, reserved(cfg, hostname))
	if err != nil {
		return nil, err
	}

	ca := cfg.Machine().Security().IssuingCA()
	if ca == nil {
		return nil, errors.New("cannot sign: this node has no machine CA")
	}

	crt, err := ca.GetCert()
	if err != nil {
		return nil, fmt.Errorf("cannot read the machine CA: %w", err)
	}

	key, err := ca.GetKey()
	if err != nil {
		return nil, fmt.Errorf("cannot read the machine CA's key: %w", err)
	}

	signed, err := sidero.NewCertificateFromCSR(crt, key, narrowed,
		sidero.KeyUsage(x509.KeyUsageDigitalSignature),
		sidero.ExtKeyUsage([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}),
		sidero.NotAfter(time.Now().Add(machinepki.Lifetime)))
	if err != nil {
		return nil, fmt.Errorf("cannot sign: %w", err)
	}

	return signed.X509CertificatePEM, nil
}

func parse(request []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(request)
	if block == nil {
		return nil, errors.New("cannot read the request: no PEM in it")
	}

	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot read the request: %w", err)
	}

	return csr, nil
}

// narrow leaves of a request what a worker may be: its own address and names that belong to nobody else. Everything
// else is dropped, not refused: Talos's workers ask for all of their addresses and for the cluster's certSANs. Neither
// an organization, which would be a role, nor another's address ever gets through.
func narrow(csr *x509.CertificateRequest, own netip.Addr, reserved []string) (*x509.CertificateRequest, error) {
	address := net.IP(own.AsSlice())
	if !slices.ContainsFunc(csr.IPAddresses, address.Equal) {
		return nil, errForeign
	}

	narrowed := *csr
	narrowed.Subject = pkix.Name{CommonName: csr.Subject.CommonName}
	narrowed.IPAddresses = []net.IP{address}
	narrowed.DNSNames = slices.DeleteFunc(slices.Clone(csr.DNSNames), func(name string) bool {
		return slices.Contains(reserved, name)
	})

	return &narrowed, nil
}

// reserved are the names of control planes, under which clients expect to find one.
func reserved(cfg config.Config, hostname string) []string {
	return slices.Concat([]string{"localhost", hostname, cfg.Cluster().Endpoint().Hostname()},
		cfg.Machine().Security().CertSANs())
}

// bundle is every CA certificate that the node accepts.
func bundle(cfg config.Config) []byte {
	var all [][]byte

	machine := cfg.Machine().Security()
	if ca := machine.IssuingCA(); ca != nil {
		all = append(all, ca.Crt)
	}

	for _, ca := range machine.AcceptedCAs() {
		all = append(all, ca.Crt)
	}

	return bytes.Join(all, nil)
}
