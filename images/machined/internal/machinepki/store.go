// Package machinepki keeps the node's own certificates of the machine API fresh. A control plane signs them with the
// machine CA's key; a worker has no key and asks the control planes' trustd. It may import machinery and gRPC, and no
// other room of machined.
package machinepki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
)

// Lifetime is how long a certificate is good for; it is renewed at half of that.
const Lifetime = 24 * time.Hour

// Skew is how far the clock of whoever reads a certificate may be behind.
const Skew = time.Minute

// retryPause is short because a worker mostly waits for a control plane that is booting beside it.
const retryPause = 100 * time.Millisecond

// ErrNoClientCertificate is in the error of ClientTLS on a worker, which may not call other nodes.
var ErrNoClientCertificate = errors.New("cannot call other nodes: only control planes may")

var errNotReady = errors.New("cannot serve TLS: the node has no certificate yet")

// Addresses tells the node's addresses and when they change.
type Addresses interface {
	List() []netip.Prefix
	Changed() <-chan struct{}
}

// Options tell what the certificates are for.
type Options struct {
	// Config answers the node's machine config, never nil.
	Config func() config.Provider
	// Changed answers a channel that is closed at the next change of Config; nil stands for one that never changes.
	Changed   func() <-chan struct{}
	Addresses Addresses
	// ControlPlanes answers the addresses of the control planes that are known now; nil knows none. The host of the
	// cluster's endpoint is asked after them.
	ControlPlanes func() []netip.Addr
	Hostname      string
	// TrustdPort is the control planes' trustd port; 0 means the usual one.
	TrustdPort int
	Log        *slog.Logger
}

// Store holds the newest certificates. New makes one; it is empty until Run has made or fetched the first.
type Store struct {
	opts    Options
	current atomic.Pointer[identity]
	ready   chan struct{}

	mu      sync.Mutex
	renewed chan struct{}
}

// New makes an empty store.
func New(opts Options) *Store {
	return &Store{opts: opts, ready: make(chan struct{}), renewed: make(chan struct{})}
}

// Wait blocks until the store has certificates.
func (s *Store) Wait(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run makes certificates, renews them at half their life and whenever the node's addresses or what the machine config
// says of certificates change, and blocks until ctx ends. What goes wrong is logged, once for each reason, and tried again.
func (s *Store) Run(ctx context.Context) error {
	var told string

	for {
		wait := s.watch()
		pause := Lifetime / 2

		if err := s.renew(ctx); err != nil {
			if told != err.Error() {
				s.opts.Log.WarnContext(ctx, "no new certificate yet", "error", err)
			}

			told, pause = err.Error(), retryPause
		}

		if !wait(ctx, pause) {
			return nil
		}
	}
}

// watch notes what certificates are made of now, and answers a function that blocks until that is another, the pause is
// over or ctx ends; only then it answers false.
func (s *Store) watch() func(ctx context.Context, pause time.Duration) bool {
	addresses, config, subject := s.opts.Addresses.Changed(), s.configChanged(), s.subject()

	return func(ctx context.Context, pause time.Duration) bool {
		timer := time.NewTimer(pause)
		defer timer.Stop()

		for {
			select {
			case <-timer.C:
				return true
			case <-addresses:
				return true
			case <-config:
				// Taken before the config is looked at, so that no change is missed.
				if config = s.configChanged(); s.subject() != subject {
					return true
				}
			case <-ctx.Done():
				return false
			}
		}
	}
}

func (s *Store) configChanged() <-chan struct{} {
	if s.opts.Changed == nil {
		return nil
	}

	return s.opts.Changed()
}

// subject differs whenever the machine config asks for other certificates.
func (s *Store) subject() string {
	security := s.opts.Config().Machine().Security()

	var authorities []byte
	if ca := security.IssuingCA(); ca != nil {
		authorities = append(authorities, ca.Crt...)
	}

	for _, ca := range security.AcceptedCAs() {
		authorities = append(authorities, ca.Crt...)
	}

	return fmt.Sprintf("%q %q %q", security.CertSANs(), security.Token(), authorities)
}

func (s *Store) renew(ctx context.Context) error {
	next, err := s.issue(ctx)
	if err != nil {
		return err
	}

	if s.current.Swap(next) == nil {
		close(s.ready)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	close(s.renewed)
	s.renewed = make(chan struct{})

	return nil
}

// ServerTLS serves with the newest certificate and demands one of the caller, signed by a CA that the node accepts.
func (s *Store) ServerTLS() *tls.Config {
	return s.serverTLS(tls.RequireAndVerifyClientCert)
}

// OpenTLS serves with the newest certificate to callers that show none: those of trustd have none yet, and those of
// discovery prove who they are by other means.
func (s *Store) OpenTLS() *tls.Config {
	return s.serverTLS(tls.NoClientCert)
}

func (s *Store) serverTLS(auth tls.ClientAuthType) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := s.current.Load()
			if now == nil {
				return nil, errNotReady
			}

			return &tls.Config{
				MinVersion:   tls.VersionTLS13,
				NextProtos:   []string{"h2"},
				Certificates: []tls.Certificate{now.server},
				ClientAuth:   auth,
				ClientCAs:    now.accepted,
			}, nil
		},
	}
}

// ClientTLS calls other nodes' apid in the name of this one. On a worker the error is ErrNoClientCertificate.
func (s *Store) ClientTLS() (*tls.Config, error) {
	now := s.current.Load()
	if now == nil {
		return nil, errNotReady
	}

	if now.client == nil {
		return nil, ErrNoClientCertificate
	}

	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    now.accepted,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return s.current.Load().client, nil
		},
	}, nil
}

// identity is one generation of certificates.
type identity struct {
	server tls.Certificate
	// client is nil on a worker.
	client   *tls.Certificate
	accepted *x509.CertPool
}
