package kubelet

import (
	"crypto/tls"
	"fmt"
)

// ClientCertificate reads the certificate that Kubernetes gave a worker's kubelet. The kubelet renews it, so that it is to
// be read anew for each connection.
func ClientCertificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(clientPair, clientPair)
	if err != nil {
		return nil, fmt.Errorf("cannot read the kubelet's certificate: %w", err)
	}

	return &pair, nil
}
