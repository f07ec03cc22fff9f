package machine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/boot"
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
func (m *Machine) balance(ctx context.Context) error {
	upstreams := func() []string { return m.upstreams(ctx) }

	if !m.isControlPlane() {
		fit, err := m.workerFit()
		m.serving, m.settled = balance.NewInOrder(upstreams, fit), balance.NewInOrder(upstreams, fit)

		return err
	}

	config, err := m.adminTLS()
	if err != nil {
		return err
	}

	own, ready := m.ownUpstream(), serves(config, readyPath)
	serving := &judge{own: own, first: serves(config, "/livez/ping"), ready: ready}
	settled := &judge{own: own, first: serving.first, ready: ready, gate: m.filled, waits: errors.New("the bootstrap roles are not there yet")}
	healthy := &judge{own: own, first: serves(config, "/healthz"), ready: ready, gate: m.filled, waits: settled.waits}

	m.serving, m.settled, m.healthy = balance.NewInOrder(upstreams, serving.fit), balance.NewInOrder(upstreams, settled.fit), balance.NewInOrder(upstreams, healthy.fit)

	return nil
}

// upstreams are the API servers that the node may use, the best first: a control plane's own, then the others', then
// whatever the cluster's endpoint is. Workers begin each at another, so that not all of them use the same.
func (m *Machine) upstreams(ctx context.Context) []string {
	var others []string
	for _, other := range m.controlPlanes(ctx) {
		others = append(others, net.JoinHostPort(other.address.String(), strconv.Itoa(other.apiPort)))
	}

	if m.isControlPlane() {
		alias := net.JoinHostPort(m.ip.String(), strconv.Itoa(m.Config().Cluster().LocalAPIServerPort()))

		return ordered(m.ownUpstream(), others, m.lateEndpoint(), alias)
	}

	if len(others) > 0 {
		address := m.ip.AsSlice()
		at := int(address[len(address)-1]) % len(others)
		others = slices.Concat(others[at:], others[:at])
	}

	return ordered("", others, m.endpoint(), "")
}

// lateEndpoint is the cluster's endpoint once the API has been seen. A balancer there holds whoever asks until it has an
// API server, and the looks of a booting control plane for its own, which takes them all together, would wait for it.
func (m *Machine) lateEndpoint() string {
	select {
	case <-m.filled:
		return m.endpoint()
	default:
		return ""
	}
}

// ordered lists first, others and last, each once and none that is empty or alias, which is another name of first.
func ordered(first string, others []string, last, alias string) []string {
	var all []string

	for _, upstream := range slices.Concat([]string{first}, others, []string{last}) {
		if upstream != "" && upstream != alias && !slices.Contains(all, upstream) {
			all = append(all, upstream)
		}
	}

	return all
}

// ownUpstream is the API server on this node.
func (m *Machine) ownUpstream() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.Config().Cluster().LocalAPIServerPort()))
}

// endpoint is the cluster's, as host:port.
func (m *Machine) endpoint() string {
	endpoint := m.Config().Cluster().Endpoint()

	port := endpoint.Port()
	if port == "" {
		port = "443"
	}

	return net.JoinHostPort(endpoint.Hostname(), port)
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
