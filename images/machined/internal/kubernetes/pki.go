package kubernetes

import (
	"crypto"
	stdx509 "crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/siderolabs/crypto/x509"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// certificateLifetime is that of every certificate a node signs. Its own are made anew at each boot.
const certificateLifetime = 365 * 24 * time.Hour

// clockSkew is how far in the past certificates begin.
const clockSkew = time.Hour

// Identity is the subject of a client certificate.
type Identity struct {
	CommonName   string
	Organization string
	// Lifetime is certificateLifetime where it is zero.
	Lifetime time.Duration
}

// Issue makes a client certificate and its key, signed by ca.
func Issue(ca *x509.PEMEncodedCertificateAndKey, who Identity) (*x509.PEMEncodedCertificateAndKey, error) {
	if who.Lifetime == 0 {
		who.Lifetime = certificateLifetime
	}

	options := []x509.Option{
		x509.CommonName(who.CommonName),
		x509.NotAfter(time.Now().Add(who.Lifetime)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageKeyEncipherment),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}),
	}

	if who.Organization != "" {
		options = append(options, x509.Organization(who.Organization))
	}

	return issue(ca, options)
}

func issue(ca *x509.PEMEncodedCertificateAndKey, options []x509.Option) (*x509.PEMEncodedCertificateAndKey, error) {
	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(ca)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate authority: %w", err)
	}

	pair, err := x509.NewKeyPair(authority, append(options, x509.NotBefore(time.Now().Add(-clockSkew)))...)
	if err != nil {
		return nil, fmt.Errorf("cannot sign a certificate: %w", err)
	}

	return x509.NewCertificateAndKeyFromKeyPair(pair), nil
}

// serverCertificate is kube-apiserver's, valid for every name and address that clients use.
func (n Node) serverCertificate() (*x509.PEMEncodedCertificateAndKey, error) {
	cluster := n.Config.Cluster()

	names := []string{
		"localhost", n.Name, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + cluster.Network().DNSDomain(),
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, n.IP.AsSlice()}

	for _, san := range append(cluster.CertSANs(), cluster.Endpoint().Hostname()) {
		if ip := net.ParseIP(san); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, san)
		}
	}

	services, err := cluster.Network().APIServerIPs()
	if err != nil {
		return nil, fmt.Errorf("cannot derive the API's service address: %w", err)
	}

	for _, service := range services {
		addresses = append(addresses, service.AsSlice())
	}

	return issue(cluster.IssuingCA(), []x509.Option{
		x509.CommonName("kube-apiserver"),
		x509.Organization("kube-master"),
		x509.DNSNames(names),
		x509.IPAddresses(addresses),
		x509.NotAfter(time.Now().Add(certificateLifetime)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageKeyEncipherment),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth}),
	})
}

// pair turns a certificate and its key into the two files path.crt and path.key.
func pair(path string, c *x509.PEMEncodedCertificateAndKey) []rootfs.Step {
	return []rootfs.Step{
		rootfs.File{Path: path + ".crt", Content: string(c.Crt), Mode: 0o644},
		rootfs.File{Path: path + ".key", Content: string(c.Key), Mode: 0o600},
	}
}

// publicKey answers the public half of a private key, both in PEM. Machine configs hold keys in any of three encodings,
// by the release that made them.
func publicKey(private []byte) ([]byte, error) {
	block, _ := pem.Decode(private)
	if block == nil {
		return nil, errors.New("cannot find a PEM block")
	}

	key, err := parseKey(block.Bytes)
	if err != nil {
		return nil, err
	}

	public, err := stdx509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("cannot encode the public key: %w", err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), nil
}

func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := stdx509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}

	if key, err := stdx509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}

	key, err := stdx509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the private key: %w", err)
	}

	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("cannot sign with a key of type %T", key)
	}

	return signer, nil
}
