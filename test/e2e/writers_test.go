//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bronze-os/bronze/test/lab"
)

// writeLimit bounds one write: a client that waits longer would measure its own patience.
const writeLimit = time.Second

// target is a store that a test writes keys to.
type target interface {
	// write answers nil once the store has acknowledged the key.
	write(ctx context.Context, key string) error
	// read answers nil where the key is there.
	read(ctx context.Context, key string) error
}

// writing is one writer at work. write starts it.
type writing struct {
	target target
	cancel context.CancelFunc
	done   chan struct{}

	mu           sync.Mutex
	acknowledged []string
	last         time.Time
	gap          time.Duration
}

// write writes one key after the other until stop is called; a failure is tried again with the next key.
func write(t *testing.T, to target) *writing {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	w := &writing{target: to, cancel: cancel, done: make(chan struct{}), last: time.Now()}

	go func() {
		defer close(w.done)

		for i := 0; ctx.Err() == nil; i++ {
			w.once(ctx, "key-"+strconv.Itoa(i))
		}
	}()

	t.Cleanup(func() { w.stop() })

	return w
}

func (w *writing) once(ctx context.Context, key string) {
	limited, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()

	if err := w.target.write(limited, key); err != nil {
		// Refusals come at once; without a pause they would keep the processors from the election.
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}

		return
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	w.acknowledged = append(w.acknowledged, key)
	w.gap = max(w.gap, time.Since(w.last))
	w.last = time.Now()
}

// enough is how many writes in a row show that writing works.
const enough = 20

// await blocks until so many more keys have been acknowledged.
func (w *writing) await(t *testing.T) {
	t.Helper()

	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()

		return len(w.acknowledged)
	}
	wanted := count() + enough

	until(t, func(context.Context) error {
		if now := count(); now < wanted {
			return fmt.Errorf("%d writes are acknowledged, want %d", now, wanted)
		}

		return nil
	})
}

// stop answers the keys that were acknowledged and the longest time between two of them.
func (w *writing) stop() ([]string, time.Duration) {
	w.cancel()
	<-w.done

	return w.acknowledged, w.gap
}

// kubernetesTarget writes ConfigMaps through the endpoint that the kubeconfig names.
type kubernetesTarget struct{ client kubernetes.Interface }

func (r running) kubernetesWriter(t *testing.T) target {
	t.Helper()

	config, err := clientcmd.BuildConfigFromFlags("", r.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}

	config.QPS = -1

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}

	return kubernetesTarget{client}
}

func (k kubernetesTarget) write(ctx context.Context, key string) error {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: key}}

	_, err := k.client.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}

	return err
}

func (k kubernetesTarget) read(ctx context.Context, key string) error {
	_, err := k.client.CoreV1().ConfigMaps("default").Get(ctx, key, metav1.GetOptions{})

	return err
}

// etcdTarget writes through the first of several members that takes the key, and reads from every one.
type etcdTarget struct{ members []etcdserverpb.KVClient }

func (r running) etcdWriter(t *testing.T, addresses []string) target {
	t.Helper()

	config := r.etcdTLS(t)

	var to etcdTarget

	for _, address := range addresses {
		conn, err := grpc.NewClient("passthrough:///"+address+":2379", grpc.WithTransportCredentials(credentials.NewTLS(config)))
		if err != nil {
			t.Fatal(err)
		}

		t.Cleanup(func() { conn.Close() })

		to.members = append(to.members, etcdserverpb.NewKVClient(conn))
	}

	return to
}

// etcdTLS shows a certificate that the cluster's own authority for etcd signs here.
func (r running) etcdTLS(t *testing.T) *tls.Config {
	t.Helper()

	bundle, err := secrets.LoadBundle(filepath.Join(r.StateDir(), "clusters", r.Cluster, "secrets.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	ca, err := x509.NewCertificateAuthorityFromCertificateAndKey(bundle.Certs.Etcd)
	if err != nil {
		t.Fatal(err)
	}

	pair, err := x509.NewKeyPair(ca, x509.CommonName("e2e"), x509.NotAfter(time.Now().Add(time.Hour)),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}))
	if err != nil {
		t.Fatal(err)
	}

	pool := stdx509.NewCertPool()
	pool.AddCert(ca.Crt)

	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{*pair.Certificate}, MinVersion: tls.VersionTLS12}
}

const etcdPrefix = "/bronze-e2e/"

func (e etcdTarget) write(ctx context.Context, key string) error {
	var refusals []error

	for _, member := range e.members {
		_, err := member.Put(ctx, &etcdserverpb.PutRequest{Key: []byte(etcdPrefix + key), Value: []byte(key)})
		if err == nil {
			return nil
		}

		refusals = append(refusals, err)
	}

	return errors.Join(refusals...)
}

// read asks each member for what it holds itself.
func (e etcdTarget) read(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	for i, member := range e.members {
		// Followers may be a moment behind.
		err := lab.Until(ctx, func(ctx context.Context) error {
			answer, err := member.Range(ctx, &etcdserverpb.RangeRequest{Key: []byte(etcdPrefix + key), Serializable: true})
			if err == nil && (len(answer.Kvs) != 1 || string(answer.Kvs[0].Value) != key) {
				err = fmt.Errorf("member %d has not got %s", i, key)
			}

			return err
		})
		if err != nil {
			return err
		}
	}

	return nil
}
