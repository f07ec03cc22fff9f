package machineconfig

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"k8s.io/client-go/tools/clientcmd"
)

func TestTalosconfigSignsAnAdministrator(t *testing.T) {
	data, err := testSecrets(t).Talosconfig("town", "10.5.0.2", "127.0.0.1:40000")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientconfig.FromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	entry := config.Contexts[config.Context]
	if diff := cmp.Diff([]string{"127.0.0.1:40000"}, entry.Endpoints); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"os:admin"}, verified(t, entry.Crt, entry.CA).Subject.Organization); diff != "" {
		t.Error(diff)
	}
}

func TestKubeconfigSignsAnAdministrator(t *testing.T) {
	data, err := testSecrets(t).Kubeconfig("town", "https://127.0.0.1:40001")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "admin@town" {
		t.Errorf("current context %q", config.CurrentContext)
	}
	certificate := verified(t,
		base64.StdEncoding.EncodeToString(config.AuthInfos["admin@town"].ClientCertificateData),
		base64.StdEncoding.EncodeToString(config.Clusters["town"].CertificateAuthorityData))
	if diff := cmp.Diff([]string{"system:masters"}, certificate.Subject.Organization); diff != "" {
		t.Error(diff)
	}
}

// verified decodes a certificate and proves that the authority signed it for a client.
func verified(t *testing.T, certificate, authority string) *x509.Certificate {
	t.Helper()
	leaf, roots := decode(t, certificate), x509.NewCertPool()
	roots.AddCert(decode(t, authority))
	options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(options); err != nil {
		t.Error(err)
	}
	return leaf
}

func decode(t *testing.T, encoded string) *x509.Certificate {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("no PEM block")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
