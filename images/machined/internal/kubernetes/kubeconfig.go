package kubernetes

import (
	"encoding/json"
	"fmt"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
)

// Kubeconfig names a cluster, a user and how the user proves itself.
type Kubeconfig struct {
	Cluster, User string
	// Server is the API's URL.
	Server string
	// CA is the certificate authority in PEM.
	CA []byte
	// Certificate and Key are the user's in PEM.
	Certificate, Key []byte
	// PairFile holds both of them instead, and may be renewed.
	PairFile string
	// Token is the user's, where it has no certificate.
	Token string
}

// Render answers the kubeconfig as JSON, which is YAML. Its context is "user@cluster".
func (k Kubeconfig) Render() []byte {
	context := k.User + "@" + k.Cluster

	type named map[string]any

	document, err := json.MarshalIndent(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": context,
		"clusters":        []named{{"name": k.Cluster, "cluster": named{"server": k.Server, "certificate-authority-data": k.CA}}},
		"users":           []named{{"name": k.User, "user": k.proof()}},
		"contexts":        []named{{"name": context, "context": named{"cluster": k.Cluster, "user": k.User, "namespace": "default"}}},
	}, "", "  ")
	if err != nil {
		// Strings and bytes always encode.
		panic(err)
	}

	return append(document, '\n')
}

func (k Kubeconfig) proof() map[string]any {
	switch {
	case k.Token != "":
		return map[string]any{"token": k.Token}
	case k.PairFile != "":
		return map[string]any{"client-certificate": k.PairFile, "client-key": k.PairFile}
	default:
		return map[string]any{"client-certificate-data": k.Certificate, "client-key-data": k.Key}
	}
}

// AdminKubeconfig makes a kubeconfig for the user whom the machine config names as administrator, with a certificate
// of its own, for the cluster's endpoint.
func AdminKubeconfig(provider config.Provider) ([]byte, error) {
	cluster := provider.Cluster()
	if cluster.IssuingCA() == nil || len(cluster.IssuingCA().Key) == 0 {
		return nil, fmt.Errorf("this node is not a control plane and has no key to sign a kubeconfig with; ask a control plane")
	}

	admin := cluster.AdminKubeconfig()

	certificate, err := Issue(cluster.IssuingCA(), Identity{
		CommonName:   admin.CommonName(),
		Organization: admin.CertOrganization(),
		Lifetime:     admin.CertLifetime(),
	})
	if err != nil {
		return nil, err
	}

	return clientKubeconfig(provider, "admin", cluster.Endpoint().String(), certificate).Render(), nil
}

func clientKubeconfig(provider config.Provider, user, server string, certificate *x509.PEMEncodedCertificateAndKey) Kubeconfig {
	return Kubeconfig{
		Cluster:     provider.Cluster().Name(),
		User:        user,
		Server:      server,
		CA:          provider.Cluster().IssuingCA().Crt,
		Certificate: certificate.Crt,
		Key:         certificate.Key,
	}
}
