package machinepki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
)

// askLimit bounds one call of trustd.
const askLimit = 3 * time.Second

// issue makes the next generation of certificates.
func (s *Store) issue(ctx context.Context) (*identity, error) {
	cfg := s.opts.Config()
	machine := cfg.Machine().Security()

	accepted, err := acceptedPool(machine)
	if err != nil {
		return nil, err
	}

	ca := machine.IssuingCA()
	names := namesOf(s.opts.Hostname, s.opts.Addresses.List(), machine.CertSANs())

	if ca == nil || len(ca.Key) == 0 {
		server, err := s.ask(ctx, cfg, accepted, names)
		return &identity{server: server, accepted: accepted}, err
	}

	server, err := sign(ca, x509.ExtKeyUsageServerAuth, names.options()...)
	if err != nil {
		return nil, fmt.Errorf("signing the server certificate: %w", err)
	}

	client, err := sign(ca, x509.ExtKeyUsageClientAuth,
		sidero.CommonName(s.opts.Hostname), sidero.Organization(string(role.Impersonator)))
	if err != nil {
		return nil, fmt.Errorf("signing the client certificate: %w", err)
	}

	return &identity{server: server, client: &client, accepted: accepted}, nil
}

// CallerTLS calls what nodes serve to callers that show no certificate. It believes the CAs of the machine config, and
// with public those of the world too.
func CallerTLS(machine config.Security, public bool) (*tls.Config, error) {
	pool := x509.NewCertPool()

	if public {
		world, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("cannot read the certificate authorities of the image: %w", err)
		}

		pool = world
	}

	if err := accept(pool, machine); err != nil {
		return nil, err
	}

	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}, nil
}

// acceptedPool holds every CA whose certificates the node believes.
func acceptedPool(machine config.Security) (*x509.CertPool, error) {
	pool := x509.NewCertPool()

	return pool, accept(pool, machine)
}

// accept adds the CAs of the machine config to a pool.
func accept(pool *x509.CertPool, machine config.Security) error {
	certs := machine.AcceptedCAs()

	if ca := machine.IssuingCA(); ca != nil {
		certs = append(certs, &sidero.PEMEncodedCertificate{Crt: ca.Crt})
	}

	for _, cert := range certs {
		if !pool.AppendCertsFromPEM(cert.Crt) {
			return fmt.Errorf("cannot read a CA certificate of the machine config")
		}
	}

	return nil
}

// names are what a server certificate is valid for.
type names struct {
	hostname string
	dns      []string
	ips      []net.IP
}

func namesOf(hostname string, addresses []netip.Prefix, certSANs []string) names {
	result := names{hostname: hostname, dns: []string{hostname, "localhost"}}

	ips := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	for _, address := range addresses {
		ips = append(ips, address.Addr())
	}

	for _, san := range certSANs {
		if ip, err := netip.ParseAddr(san); err == nil {
			ips = append(ips, ip)
		} else {
			result.dns = append(result.dns, san)
		}
	}

	for i, ip := range ips {
		if slices.Index(ips, ip) == i {
			result.ips = append(result.ips, ip.AsSlice())
		}
	}

	return result
}

func (n names) options() []sidero.Option {
	return []sidero.Option{sidero.CommonName(n.hostname), sidero.DNSNames(n.dns), sidero.IPAddresses(n.ips)}
}

func sign(ca *sidero.PEMEncodedCertificateAndKey, usage x509.ExtKeyUsage, options ...sidero.Option) (tls.Certificate, error) {
	request, key, err := requestFor(ca.Crt, options...)
	if err != nil {
		return tls.Certificate{}, err
	}

	signed, err := sidero.NewCertificateFromCSRBytes(ca.Crt, ca.Key, request,
		sidero.KeyUsage(x509.KeyUsageDigitalSignature),
		sidero.ExtKeyUsage([]x509.ExtKeyUsage{usage}),
		sidero.NotBefore(time.Now().Add(-Skew)),
		sidero.NotAfter(time.Now().Add(Lifetime)))
	if err != nil {
		return tls.Certificate{}, err
	}

	return tls.X509KeyPair(signed.X509CertificatePEM, key)
}

// requestFor makes a key of the CA's kind, and a signing request for it.
func requestFor(ca []byte, options ...sidero.Option) (request, key []byte, err error) {
	block, _ := pem.Decode(ca)
	if block == nil {
		return nil, nil, fmt.Errorf("cannot read the machine CA: no PEM in it")
	}

	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the machine CA: %w", err)
	}

	csr, pair, err := sidero.NewCSRAndIdentityFromCA(parsed, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a signing request: %w", err)
	}

	return csr.X509CertificateRequestPEM, pair.Key, nil
}

// ask has a control plane sign the certificate of a worker: the first that does.
func (s *Store) ask(ctx context.Context, cfg config.Config, accepted *x509.CertPool, names names) (tls.Certificate, error) {
	request, key, err := requestFor(anyCA(cfg.Machine().Security()), names.options()...)
	if err != nil {
		return tls.Certificate{}, err
	}

	var refusals []error

	for _, host := range s.trustdHosts(cfg) {
		call := trustdCall{
			address: trustdAddress(host, s.opts.TrustdPort),
			source:  sourceFor(host, s.opts.Addresses.List()),
			tls:     &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: accepted},
			token:   cfg.Machine().Security().Token(),
		}

		crt, err := call.certificate(ctx, request)
		if err == nil {
			return tls.X509KeyPair(crt, key)
		}

		refusals = append(refusals, fmt.Errorf("asking trustd at %s: %w", call.address, err))
	}

	return tls.Certificate{}, errors.Join(refusals...)
}

// trustdHosts are whom to ask: every control plane that is known, then whoever is behind the cluster's endpoint.
func (s *Store) trustdHosts(cfg config.Config) []string {
	var hosts []string

	if s.opts.ControlPlanes != nil {
		for _, address := range s.opts.ControlPlanes() {
			hosts = append(hosts, address.String())
		}
	}

	if endpoint := cfg.Cluster().Endpoint().Hostname(); !slices.Contains(hosts, endpoint) {
		hosts = append(hosts, endpoint)
	}

	return hosts
}

// anyCA is the machine CA's certificate, which tells the kind of key to make.
func anyCA(machine config.Security) []byte {
	if ca := machine.IssuingCA(); ca != nil {
		return ca.Crt
	}

	for _, ca := range machine.AcceptedCAs() {
		return ca.Crt
	}

	return nil
}
