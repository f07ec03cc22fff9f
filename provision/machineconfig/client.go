package machineconfig

import (
	stdx509 "crypto/x509"
	"fmt"
	"time"

	"github.com/siderolabs/crypto/x509"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// clientLifetime is how long the client certificates of both client configs are good; Talos gives its own as long.
const clientLifetime = 365 * 24 * time.Hour

// Talosconfig is a client config for the machine API with one context, named after the cluster, that may do
// everything. Endpoints are host:port as the client reaches them; node is the address that a call is meant for where
// the caller names none.
func (s Secrets) Talosconfig(cluster, node string, endpoints ...string) ([]byte, error) {
	certificate, err := s.bundle.GenerateTalosAPIClientCertificateWithTTL(role.MakeSet(role.Admin), clientLifetime)
	if err != nil {
		return nil, fmt.Errorf("signing the machine API's client certificate: %w", err)
	}
	config := clientconfig.NewConfig(cluster, endpoints, s.bundle.Certs.OS.Crt, certificate)
	if node != "" {
		config.Contexts[cluster].Nodes = []string{node}
	}
	return config.Bytes()
}

// Kubeconfig is a client config for the Kubernetes API at server, an https URL, with one context
// `admin@<cluster>` in the group system:masters.
func (s Secrets) Kubeconfig(cluster, server string) ([]byte, error) {
	certificate, err := s.adminCertificate()
	if err != nil {
		return nil, fmt.Errorf("signing the Kubernetes client certificate: %w", err)
	}
	name := "admin@" + cluster
	config := api.NewConfig()
	config.Clusters[cluster] = &api.Cluster{Server: server, CertificateAuthorityData: s.bundle.Certs.K8s.Crt}
	config.AuthInfos[name] = &api.AuthInfo{
		ClientCertificateData: certificate.Crt,
		ClientKeyData:         certificate.Key,
	}
	config.Contexts[name] = &api.Context{Cluster: cluster, AuthInfo: name, Namespace: "default"}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}

func (s Secrets) adminCertificate() (*x509.PEMEncodedCertificateAndKey, error) {
	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(s.bundle.Certs.K8s)
	if err != nil {
		return nil, err
	}
	now := s.bundle.Clock.Now()
	pair, err := x509.NewKeyPair(authority,
		x509.CommonName("admin"),
		x509.Organization("system:masters"),
		// A node's clock may be behind the host's by a little.
		x509.NotBefore(now.Add(-time.Minute)),
		x509.NotAfter(now.Add(clientLifetime)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}),
	)
	if err != nil {
		return nil, err
	}
	return x509.NewCertificateAndKeyFromKeyPair(pair), nil
}
