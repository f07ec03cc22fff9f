package machinepki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
)

// Renewed answers a channel that is closed when the store next has other certificates.
func (s *Store) Renewed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.renewed
}

// Told is what Talos's resource tells of the certificates of the machine API, keys included. Before the first it is nil.
func (s *Store) Told() (*secrets.APICertsSpec, error) {
	now := s.current.Load()
	if now == nil {
		return nil, nil
	}

	server, err := encoded(now.server)
	if err != nil {
		return nil, err
	}

	told := &secrets.APICertsSpec{Server: server}

	if now.client != nil {
		if told.Client, err = encoded(*now.client); err != nil {
			return nil, err
		}
	}

	machine := s.opts.Config().Machine().Security()
	told.AcceptedCAs = machine.AcceptedCAs()

	if ca := machine.IssuingCA(); ca != nil {
		told.AcceptedCAs = append(told.AcceptedCAs, &sidero.PEMEncodedCertificate{Crt: ca.Crt})
	}

	return told, nil
}

// encoded is a certificate and its key in PEM, the key as PKCS #8.
func encoded(pair tls.Certificate) (*sidero.PEMEncodedCertificateAndKey, error) {
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the key of a certificate: %w", err)
	}

	result := &sidero.PEMEncodedCertificateAndKey{Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})}

	for _, certificate := range pair.Certificate {
		result.Crt = append(result.Crt, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	}

	return result, nil
}
