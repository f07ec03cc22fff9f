package resources

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStaticPodsFollowTheKubelet(t *testing.T) {
	kubelet := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(kubeletAnswer))
	}))
	defer kubelet.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	st, err := New(ctx)
	if err != nil {
		t.Fatal(err)
	}

	gone := k8s.NewStaticPodStatus(k8s.NamespaceName, "kube-system/gone")
	if err := st.Create(ctx, gone); err != nil {
		t.Fatal(err)
	}

	cert, key := keyPair(t)
	done := make(chan error, 1)

	go func() {
		done <- publishStaticPods(ctx, Options{
			State: st, Kubelet: &Kubelet{Cert: cert, Key: key, URL: kubelet.URL, Expected: func() []string { return nil }}, Log: slog.New(slog.DiscardHandler),
		})
	}()

	status, err := st.WatchFor(ctx, k8s.NewStaticPodStatus(k8s.NamespaceName, "kube-system/kube-apiserver-a").Metadata(),
		state.WithEventTypes(state.Created, state.Updated), state.WithCondition(func(r resource.Resource) (bool, error) {
			return ready(r.(*k8s.StaticPodStatus).TypedSpec().PodStatus), nil
		}))
	if err != nil {
		t.Fatal(err)
	}

	if got := status.(*k8s.StaticPodStatus).TypedSpec().PodStatus["phase"]; got != "Running" {
		t.Errorf("phase: %v", got)
	}

	if _, err := st.WatchFor(ctx, gone.Metadata(), state.WithEventTypes(state.Destroyed)); err != nil {
		t.Error(err)
	}

	cancel()

	if err := <-done; err != nil {
		t.Error(err)
	}
}

// keyPair writes a key and a certificate that nobody signed but itself.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	template := &x509.Certificate{}

	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}

	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}

	cert, key = filepath.Join(t.TempDir(), "crt"), filepath.Join(t.TempDir(), "key")
	write(t, cert, "CERTIFICATE", signed)
	write(t, key, "PRIVATE KEY", encoded)

	return cert, key
}

func write(t *testing.T, path, kind string, content []byte) {
	t.Helper()

	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
}
