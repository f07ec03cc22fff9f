package machine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

// servingPort is where the kubelet connects: held until the API answers. It is KubePrism's, open to every client on the
// node.
func (m *Machine) servingPort() int {
	if prism := m.Config().Machine().Features().KubePrism(); prism.Enabled() && prism.Port() > 0 {
		return prism.Port()
	}

	return boot.KubePrismPort
}

// settledPort is where clients connect that need the API's bootstrap roles.
func (m *Machine) settledPort() int { return m.servingPort() + 1 }

// healthyPort is where the controller manager connects.
func (m *Machine) healthyPort() int { return m.servingPort() + 2 }

// balance makes the node's balancers for the Kubernetes API.
func (m *Machine) balance() error {
	upstreams := func() []string { return []string{m.upstream()} }

	if !m.isControlPlane() {
		fit, err := m.tokenIsGood()
		m.serving, m.settled = balance.New(upstreams, fit), balance.New(upstreams, fit)

		return err
	}

	config, err := m.adminTLS()
	if err != nil {
		return err
	}

	ping := serves(config, "/livez/ping")
	m.serving = balance.New(upstreams, ping)
	m.settled = balance.New(upstreams, func(ctx context.Context, upstream string) error {
		select {
		case <-m.filled:
			return ping(ctx, upstream)
		default:
			return errors.New("the bootstrap roles are not there yet")
		}
	})
	m.healthy = balance.New(upstreams, serves(config, "/healthz"))

	return nil
}

// upstream is the node's own API server on a control plane, elsewhere the cluster's endpoint.
func (m *Machine) upstream() string {
	if m.isControlPlane() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.Config().Cluster().LocalAPIServerPort()))
	}

	endpoint := m.Config().Cluster().Endpoint()

	port := endpoint.Port()
	if port == "" {
		port = "443"
	}

	return net.JoinHostPort(endpoint.Hostname(), port)
}

// serves is fit where the API answers path with 200.
func serves(config *tls.Config, path string) balance.Fit {
	client := kubeapi.New("", config)

	return func(ctx context.Context, upstream string) error {
		return client.At("https://"+upstream).Healthy(ctx, path)
	}
}

// tokenIsGood is fit where the API lets the bootstrap token ask for certificates: the token is there then, and the
// roles are. A kubelet that comes earlier is refused and ends.
func (m *Machine) tokenIsGood() (balance.Fit, error) {
	config, err := m.clusterTLS()
	if err != nil {
		return nil, err
	}

	token := m.Config().Cluster().Token().ID() + "." + m.Config().Cluster().Token().Secret()
	review := map[string]any{
		"apiVersion": "authorization.k8s.io/v1",
		"kind":       "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": map[string]any{
			"group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create",
		}},
	}

	client := kubeapi.New("", config).WithToken(token)

	return func(ctx context.Context, upstream string) error {
		var answer struct{ Status struct{ Allowed bool } }

		err := client.At("https://"+upstream).Do(ctx, kubeapi.Request{
			Method: http.MethodPost, Path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Body: review,
		}, &answer)
		if err == nil && !answer.Status.Allowed {
			err = errors.New("the bootstrap token may not ask for certificates yet")
		}

		return err
	}, nil
}

// clusterTLS trusts the cluster's certificate authority.
func (m *Machine) clusterTLS() (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(m.Config().Cluster().IssuingCA().Crt) {
		return nil, errors.New("cannot read the certificate in cluster.ca of the machine config")
	}

	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// adminTLS shows a certificate of this node's own that may do anything.
func (m *Machine) adminTLS() (*tls.Config, error) {
	config, err := m.clusterTLS()
	if err != nil {
		return nil, err
	}

	certificate, err := kubernetes.Issue(m.Config().Cluster().IssuingCA(), kubernetes.Identity{CommonName: "machined", Organization: "system:masters"})
	if err != nil {
		return nil, fmt.Errorf("making machined's certificate: %w", err)
	}

	pair, err := tls.X509KeyPair(certificate.Crt, certificate.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot use machined's certificate: %w", err)
	}

	config.Certificates = []tls.Certificate{pair}

	return config, nil
}

// serveBalancers runs the balancers until ctx ends.
func (m *Machine) serveBalancers(ctx context.Context, _ io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)

	balancers := map[int]*balance.Balancer{m.servingPort(): m.serving, m.settledPort(): m.settled}
	if m.healthy != nil {
		balancers[m.healthyPort()] = m.healthy
	}

	for port, balancer := range balancers {
		group.Go(func() error {
			balancer.Check(ctx)
			return nil
		})
		group.Go(func() error { return m.serveBalancer(ctx, balancer, port) })
	}

	return group.Wait()
}

func (m *Machine) serveBalancer(ctx context.Context, balancer *balance.Balancer, port int) error {
	// A kubelet that finds volumes of an earlier run asks the API for its Node before it mounts any, those of the API
	// server's own pod included: held, it would wait for the API that waits for it. Refused, it goes on.
	if m.isControlPlane() && m.restarted {
		if _, err := balancer.Await(ctx); err != nil {
			return err
		}
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("cannot listen for the Kubernetes API's clients: %w", err)
	}

	return balancer.Serve(ctx, listener)
}
