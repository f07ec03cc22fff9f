package kubernetes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdx509 "crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
	"github.com/bronze-os/bronze/images/node"
)

// testNode is a control plane with a machine config as talosctl generates it.
func testNode(t *testing.T) Node {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.NewClock(), config.TalosVersion1_6)
	if err != nil {
		t.Fatal(err)
	}

	input, err := generate.NewInput("test", "https://10.5.0.2:6443", "1.37.2", generate.WithSecretsBundle(bundle))
	if err != nil {
		t.Fatal(err)
	}

	provider, err := input.Config(machine.TypeControlPlane)
	if err != nil {
		t.Fatal(err)
	}

	return Node{
		Config: provider, Name: "cp", IP: netip.MustParseAddr("10.5.0.2"), SettledPort: 7446,
		Versions: node.Versions{Kubernetes: "v1.37.2", CoreDNS: "v1.15.0"},
	}
}

func TestAPIServerCertificateServesEveryName(t *testing.T) {
	n := testNode(t)

	pair, err := n.serverCertificate()
	if err != nil {
		t.Fatal(err)
	}

	certificate, err := pair.GetCert()
	if err != nil {
		t.Fatal(err)
	}

	roots := stdx509.NewCertPool()
	roots.AppendCertsFromPEM(n.Config.Cluster().IssuingCA().Crt)

	for _, name := range []string{"10.5.0.2", "127.0.0.1", "10.96.0.1", "localhost", "cp", "kubernetes.default.svc.cluster.local"} {
		if _, err := certificate.Verify(stdx509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServiceAccountKeysOfAllEncodingsAreRead(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	want, err := stdx509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}

	sec1, err := stdx509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}

	pkcs8, err := stdx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}

	for name, der := range map[string][]byte{"SEC 1": sec1, "PKCS 8": pkcs8} {
		public, err := publicKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}

		if block, _ := pem.Decode(public); string(block.Bytes) != string(want) {
			t.Errorf("%s: another public key", name)
		}
	}
}

func TestStaticPodsRunTheNodesOwnPrograms(t *testing.T) {
	steps, err := testNode(t).StaticPods()
	if err != nil {
		t.Fatal(err)
	}

	if len(steps) != 3 {
		t.Fatalf("%d static pods", len(steps))
	}

	for _, step := range steps {
		file := step.(rootfs.File)

		var pod kubeapi.Object
		if err := json.Unmarshal([]byte(file.Content), &pod); err != nil {
			t.Fatal(err)
		}

		container := pod.List("spec", "containers")[0]
		if image := container.Text("image"); image != "bronze.local/"+pod.Name()+":v1.37.2" {
			t.Errorf("%s runs image %s", pod.Name(), image)
		}

		if program := container.Strings("command")[0]; program != "/usr/local/bin/"+pod.Name() {
			t.Errorf("%s runs %s", pod.Name(), program)
		}

		if file.Path != ManifestsDir+"/"+pod.Name()+".yaml" || file.Mode != 0o600 {
			t.Errorf("%s lies at %s with mode %o", pod.Name(), file.Path, file.Mode)
		}
	}
}

func TestExtraFlagsReplaceOurs(t *testing.T) {
	got := flags(map[string]string{"a": "1", "b": "2"}).With(map[string][]string{"b": {"3", "4"}, "c": {"5"}}).Arguments()

	if want := "--a=1 --b=3 --b=4 --c=5"; strings.Join(got, " ") != want {
		t.Errorf("Arguments = %v", got)
	}
}

func TestObjectsHoldEverythingThatAClusterStartsWith(t *testing.T) {
	base, err := testNode(t).Base()
	if err != nil {
		t.Fatal(err)
	}

	addOns, err := testNode(t).AddOns()
	if err != nil {
		t.Fatal(err)
	}

	found := map[string]bool{}
	for _, object := range append(base, addOns...) {
		found[object.Kind()+"/"+object.Name()] = true
	}

	for _, want := range []string{
		"Namespace/kube-system", "DaemonSet/kube-proxy", "Deployment/coredns", "Service/kube-dns",
		"ClusterRoleBinding/bronze:flannel", "ConfigMap/kube-root-ca.crt",
	} {
		if !found[want] {
			t.Errorf("no %s among %v", want, found)
		}
	}
}

func TestInlineManifestIsSplitIntoDocuments(t *testing.T) {
	objects, err := parse("---\n# only a comment\n---\nkind: A\n---\nkind: B\ndata: {x: \"a\\n--- not a separator\"}\n")
	if err != nil {
		t.Fatal(err)
	}

	if len(objects) != 2 || objects[0].Kind() != "A" || objects[1].Kind() != "B" {
		t.Errorf("parse = %v", objects)
	}
}

// signingRequest is what a kubelet sends, but for what edit changes.
func signingRequest(t *testing.T, subject pkix.Name, dns ...string) kubeapi.Object {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	der, err := stdx509.CreateCertificateRequest(rand.Reader, &stdx509.CertificateRequest{Subject: subject, DNSNames: dns}, key)
	if err != nil {
		t.Fatal(err)
	}

	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})

	return kubeapi.Object{
		"metadata": map[string]any{"name": "csr-1"},
		"spec": map[string]any{
			"signerName": kubeletSigner,
			"groups":     []any{"system:bootstrappers", bootstrapGroup, "system:authenticated"},
			"request":    base64.StdEncoding.EncodeToString(text),
		},
	}
}

func TestOnlyABootstrappingNodesOwnCertificateIsSigned(t *testing.T) {
	worker := pkix.Name{CommonName: "system:node:w", Organization: []string{"system:nodes"}}

	good := signingRequest(t, worker)
	stranger := signingRequest(t, worker)
	stranger.Set([]any{"system:authenticated"}, "spec", "groups")

	for _, tc := range []struct {
		name    string
		request kubeapi.Object
		want    bool
	}{
		{"a node's", good, true},
		{"one that no bootstrap token made", stranger, false},
		{"one that names a host", signingRequest(t, worker, "kubernetes"), false},
		{"one for an administrator", signingRequest(t, pkix.Name{CommonName: "system:node:w", Organization: []string{"system:masters"}}), false},
		{"one for two groups", signingRequest(t, pkix.Name{CommonName: "system:node:w", Organization: []string{"system:nodes", "system:masters"}}), false},
		{"one for somebody else", signingRequest(t, pkix.Name{CommonName: "admin", Organization: []string{"system:nodes"}}), false},
		{"one for a node without a name", signingRequest(t, pkix.Name{CommonName: "system:node:", Organization: []string{"system:nodes"}}), false},
		{"nonsense", kubeapi.Object{"spec": map[string]any{"groups": []any{bootstrapGroup}, "request": "!"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := bootstrapRequest(tc.request); (err == nil) != tc.want {
				t.Errorf("bootstrapRequest = %v", err)
			}
		})
	}
}

func TestRequestIsApprovedThenSigned(t *testing.T) {
	n := testNode(t)
	signed := make(chan kubeapi.Object, 1)

	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var object kubeapi.Object
		if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
			t.Error(err)
		}

		if strings.HasSuffix(r.URL.Path, "/csr-1/status") {
			signed <- object
		}

		_ = json.NewEncoder(w).Encode(object)
	}))
	t.Cleanup(server.Close)

	api := kubeapi.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
	t.Cleanup(api.Close)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	request := signingRequest(t, pkix.Name{CommonName: "system:node:w", Organization: []string{"system:nodes"}})
	if err := (Requests{API: api, CA: n.Config.Cluster().IssuingCA()}).handle(ctx, request); err != nil {
		t.Fatal(err)
	}

	object := <-signed
	if conditions := object.List("status", "conditions"); len(conditions) != 1 || conditions[0].Text("type") != "Approved" {
		t.Errorf("conditions %v", conditions)
	}

	text, err := base64.StdEncoding.DecodeString(object.Text("status", "certificate"))
	if err != nil {
		t.Fatal(err)
	}

	block, _ := pem.Decode(text)

	certificate, err := stdx509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}

	roots := stdx509.NewCertPool()
	roots.AppendCertsFromPEM(n.Config.Cluster().IssuingCA().Crt)

	if _, err := certificate.Verify(stdx509.VerifyOptions{Roots: roots, KeyUsages: []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}

	if certificate.Subject.CommonName != "system:node:w" || certificate.IsCA {
		t.Errorf("signed %s, CA %t", certificate.Subject, certificate.IsCA)
	}
}
