package maintenance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"

	sidero "github.com/siderolabs/crypto/x509"
)

// lifetime is how long the certificate is good for. A node may wait long for its config, and nobody can renew what is
// known by its fingerprint.
const lifetime = 10 * 365 * 24 * time.Hour

// Certificate makes a certificate that signs for itself. Who has seen its fingerprint on the node's console knows the
// node by it.
func Certificate(hostname string, addresses []netip.Prefix) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a key: %w", err)
	}

	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: hostname},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{hostname},
	}

	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(address.Addr().AsSlice()))
	}

	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot sign the node's own certificate: %w", err)
	}

	leaf, err := x509.ParseCertificate(signed)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot read the node's own certificate: %w", err)
	}

	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key, Leaf: leaf}, nil
}

// Fingerprint is what `talosctl apply-config --insecure --cert-fingerprint` takes: the SHA-256 of the certificate's
// public key, in base64.
func Fingerprint(certificate tls.Certificate) string {
	return sidero.SPKIFingerprint(certificate.Leaf).String()
}
