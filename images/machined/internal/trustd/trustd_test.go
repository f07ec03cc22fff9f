package trustd

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func controlPlane(t *testing.T, options ...sidero.Option) config.Provider {
	t.Helper()

	ca, err := sidero.NewSelfSignedCertificateAuthority(options...)
	if err != nil {
		t.Fatal(err)
	}

	return container.NewV1Alpha1(&v1alpha1.Config{
		MachineConfig: &v1alpha1.MachineConfig{
			MachineCA:       &sidero.PEMEncodedCertificateAndKey{Crt: ca.CrtPEM, Key: ca.KeyPEM},
			MachineCertSANs: []string{"api.example.org"},
		},
		ClusterConfig: &v1alpha1.ClusterConfig{ControlPlane: &v1alpha1.ControlPlaneConfig{
			Endpoint: &v1alpha1.Endpoint{URL: &url.URL{Scheme: "https", Host: "cluster.example.org:6443"}},
		}},
	})
}

func request(t *testing.T, options ...sidero.Option) []byte {
	t.Helper()

	csr, _, err := sidero.NewEd25519CSRAndIdentity(options...)
	if err != nil {
		t.Fatal(err)
	}

	return csr.X509CertificateRequestPEM
}

func parseCertificate(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()

	block, _ := pem.Decode(text)

	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}

	return cert
}

func TestSignGrantsAWorkerItsOwnAddressAndNames(t *testing.T) {
	greedy := request(t,
		sidero.CommonName("worker-1"), sidero.Organization("os:admin"),
		sidero.IPAddresses([]net.IP{net.ParseIP("10.5.0.3"), net.ParseIP("10.5.0.2"), net.ParseIP("127.0.0.1")}),
		sidero.DNSNames([]string{"worker-1", "control-1", "localhost", "api.example.org", "cluster.example.org"}))

	signed, err := sign(controlPlane(t), "control-1", netip.MustParseAddr("10.5.0.3"), greedy)
	if err != nil {
		t.Fatal(err)
	}

	cert := parseCertificate(t, signed)

	got := map[string]any{
		"name": cert.Subject.CommonName, "roles": cert.Subject.Organization, "dns": cert.DNSNames,
		"ips": []string{cert.IPAddresses[0].String()}, "count": len(cert.IPAddresses), "usage": cert.ExtKeyUsage, "ca": cert.IsCA,
	}
	want := map[string]any{
		"name": "worker-1", "roles": []string(nil), "dns": []string{"worker-1"},
		"ips": []string{"10.5.0.3"}, "count": 1, "usage": []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, "ca": false,
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSignWorksWithEveryKindOfCA(t *testing.T) {
	for name, kind := range map[string]sidero.Option{"RSA": sidero.RSA(true), "ECDSA": sidero.ECDSA(true), "Ed25519": sidero.RSA(false)} {
		t.Run(name, func(t *testing.T) {
			own := request(t, sidero.IPAddresses([]net.IP{net.ParseIP("10.5.0.3")}))

			if _, err := sign(controlPlane(t, kind, sidero.Bits(2048)), "control-1", netip.MustParseAddr("10.5.0.3"), own); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSignRefusesRequests(t *testing.T) {
	tests := map[string][]byte{
		"for another's address":   request(t, sidero.IPAddresses([]net.IP{net.ParseIP("10.5.0.2")})),
		"for no address":          request(t),
		"that are no PEM":         []byte("hello"),
		"that are something else": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("x")}),
	}

	for name, csr := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := sign(controlPlane(t), "control-1", netip.MustParseAddr("10.5.0.3"), csr); err == nil {
				t.Error("it was signed")
			}
		})
	}
}

func TestTokenFitsOnlyItself(t *testing.T) {
	tests := []struct {
		name, want string
		given      []string
		fits       bool
	}{
		{"the token", "abc", []string{"abc"}, true},
		{"another", "abc", []string{"abd"}, false},
		{"none", "abc", nil, false},
		{"two", "abc", []string{"abc", "abc"}, false},
		{"a config without one", "", []string{""}, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx := metadata.NewIncomingContext(context.Background(), metadata.MD{"token": test.given})
			if got := tokenFits(ctx, test.want); got != test.fits {
				t.Errorf("got %t", got)
			}
		})
	}
}
