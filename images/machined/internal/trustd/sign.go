package trustd

import (
	"bytes"
	"crypto/rand"
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

	template, err := narrow(csr, address, reserved(cfg, hostname))
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

	signed, err := x509.CreateCertificate(rand.Reader, template, crt, csr.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign: %w", err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: sidero.PEMTypeCertificate, Bytes: signed}), nil
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

	// The signature proves that the asker has the key.
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("cannot believe the request: %w", err)
	}

	return csr, nil
}

// narrow makes a certificate of what a worker may be: its own address and names that belong to nobody else. Everything
// else in the request is dropped, not refused: Talos's workers ask for all of their addresses and for the cluster's
// certSANs. Neither an organization, which would be a role, nor another's address ever gets through.
func narrow(csr *x509.CertificateRequest, own netip.Addr, reserved []string) (*x509.Certificate, error) {
	address := net.IP(own.AsSlice())
	if !slices.ContainsFunc(csr.IPAddresses, address.Equal) {
		return nil, errForeign
	}

	serial, err := sidero.NewSerialNumber()
	if err != nil {
		return nil, fmt.Errorf("cannot make a serial number: %w", err)
	}

	now := time.Now()

	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: csr.Subject.CommonName},
		NotBefore:    now.Add(-machinepki.Skew),
		NotAfter:     now.Add(machinepki.Lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{address},
		DNSNames: slices.DeleteFunc(slices.Clone(csr.DNSNames), func(name string) bool {
			return slices.Contains(reserved, name)
		}),
	}, nil
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
