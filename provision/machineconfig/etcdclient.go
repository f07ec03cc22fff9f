package machineconfig

import (
	"crypto/tls"
	stdx509 "crypto/x509"
	"fmt"
	"time"

	"github.com/siderolabs/crypto/x509"
)

// etcdClientLife is for how long a certificate of EtcdTLS is valid.
const etcdClientLife = time.Hour

// EtcdTLS is how etcd's members know a client that is theirs: it shows a certificate that the cluster's authority for
// etcd signs here, valid for an hour.
func (s Secrets) EtcdTLS() (*tls.Config, error) {
	ca, err := x509.NewCertificateAuthorityFromCertificateAndKey(s.bundle.Certs.Etcd)
	if err != nil {
		return nil, fmt.Errorf("cannot use the authority for etcd: %w", err)
	}
	now := s.bundle.Clock.Now()
	pair, err := x509.NewKeyPair(ca, x509.CommonName("bronze"), x509.NotBefore(now.Add(-time.Minute)),
		x509.NotAfter(now.Add(etcdClientLife)), x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}))
	if err != nil {
		return nil, fmt.Errorf("cannot sign a certificate for etcd: %w", err)
	}
	pool := stdx509.NewCertPool()
	pool.AddCert(ca.Crt)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{*pair.Certificate}, MinVersion: tls.VersionTLS12}, nil
}
