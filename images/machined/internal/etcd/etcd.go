// Package etcd runs the cluster's store as a service of a control plane node. It makes etcd's certificates and
// command line; the process itself is the supervisor's.
package etcd

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	// DataDir is on the volume that outlives the node's restarts.
	DataDir = "/var/lib/etcd"
	// SecretsDir holds ca.crt, server.{crt,key}, peer.{crt,key} and, for clients on this node, admin.{crt,key}.
	SecretsDir = "/system/secrets/etcd"

	// A lone member elects itself: the times only bound how long it takes to notice that nobody else is there, and
	// etcd's defaults of 100 and 1000 ms cost half a second of every boot.
	aloneHeartbeat = "20"
	aloneElection  = "200"
)

// Member is etcd on this node.
type Member struct {
	Config config.Provider
	// Name is the node's name, which etcd shows as the member's.
	Name string
	IP   netip.Addr
}

// HasData tells whether etcd has ever run on this node.
func HasData() bool {
	_, err := os.Stat(filepath.Join(DataDir, "member"))

	return !errors.Is(err, fs.ErrNotExist)
}

// Files answers the certificates, and the data directory with the mode that etcd asks for.
func (m Member) Files() ([]rootfs.Step, error) {
	ca := m.Config.Cluster().Etcd().CA()
	steps := []rootfs.Step{
		rootfs.Dir{Path: DataDir, Mode: 0o700},
		rootfs.File{Path: secret("ca.crt"), Content: string(ca.Crt), Mode: 0o644},
	}

	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(ca)
	if err != nil {
		return nil, fmt.Errorf("cannot read etcd's certificate authority: %w", err)
	}

	for _, name := range []string{"server", "peer", "admin"} {
		pair, err := x509.NewKeyPair(authority, m.certificate(name)...)
		if err != nil {
			return nil, fmt.Errorf("cannot sign etcd's %s certificate: %w", name, err)
		}

		made := x509.NewCertificateAndKeyFromKeyPair(pair)
		steps = append(steps,
			rootfs.File{Path: secret(name + ".crt"), Content: string(made.Crt), Mode: 0o644},
			rootfs.File{Path: secret(name + ".key"), Content: string(made.Key), Mode: 0o600})
	}

	return steps, nil
}

func (m Member) certificate(name string) []x509.Option {
	usage := []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}
	if name != "admin" {
		usage = append(usage, stdx509.ExtKeyUsageServerAuth)
	}

	return []x509.Option{
		x509.CommonName(m.Name),
		x509.DNSNames([]string{m.Name, "localhost"}),
		x509.IPAddresses([]net.IP{m.IP.AsSlice(), net.IPv4(127, 0, 0, 1), net.IPv6loopback}),
		x509.NotBefore(time.Now().Add(-time.Hour)),
		x509.NotAfter(time.Now().Add(365 * 24 * time.Hour)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageKeyEncipherment),
		x509.ExtKeyUsage(usage),
	}
}

// Arguments is etcd's command line for the first member of a cluster, or for one that has its data already.
func (m Member) Arguments() []string {
	client := func(host string) string {
		return "https://" + net.JoinHostPort(host, strconv.Itoa(boot.EtcdClientPort))
	}
	peer := "https://" + net.JoinHostPort(m.IP.String(), strconv.Itoa(boot.EtcdPeerPort))

	values := kubernetes.Flags{
		"name":                        {m.Name},
		"data-dir":                    {DataDir},
		"listen-client-urls":          {client(m.IP.String()) + "," + client("127.0.0.1")},
		"advertise-client-urls":       {client(m.IP.String())},
		"listen-peer-urls":            {peer},
		"initial-advertise-peer-urls": {peer},
		"initial-cluster":             {m.Name + "=" + peer},
		"initial-cluster-state":       {"new"},
		"client-cert-auth":            {"true"},
		"trusted-ca-file":             {secret("ca.crt")},
		"cert-file":                   {secret("server.crt")},
		"key-file":                    {secret("server.key")},
		"peer-client-cert-auth":       {"true"},
		"peer-trusted-ca-file":        {secret("ca.crt")},
		"peer-cert-file":              {secret("peer.crt")},
		"peer-key-file":               {secret("peer.key")},
		"heartbeat-interval":          {aloneHeartbeat},
		"election-timeout":            {aloneElection},
		"auto-compaction-mode":        {"periodic"},
		"auto-compaction-retention":   {"1h"},
		// bbolt maps this much of its file at once, and etcd's default of 10 GiB makes sense on large machines only.
		"quota-backend-bytes": {strconv.Itoa(2 << 30)},
		"log-level":           {"warn"},
	}

	return append([]string{"/usr/bin/etcd"}, values.With(m.Config.Cluster().Etcd().ExtraArgs()).Arguments()...)
}

// Healthy asks the member on this node whether it has a leader and can write.
func Healthy(ctx context.Context) error {
	config, err := TLS()
	if err != nil {
		return err
	}

	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://127.0.0.1:"+strconv.Itoa(boot.EtcdClientPort)+"/health", nil)
	if err != nil {
		return err
	}

	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("asking etcd for its health: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd is not healthy: %s", response.Status)
	}

	return nil
}

// TLS is the configuration of a client of etcd on this node.
func TLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(secret("admin.crt"), secret("admin.key"))
	if err != nil {
		return nil, fmt.Errorf("cannot load etcd's client certificate: %w", err)
	}

	ca, err := os.ReadFile(secret("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("cannot read etcd's certificate authority: %w", err)
	}

	pool := stdx509.NewCertPool()
	pool.AppendCertsFromPEM(ca)

	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func secret(name string) string { return filepath.Join(SecretsDir, name) }
