package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
)

// TTLVariable, set in the environment of the machine config, says how long the others believe in a node that is silent,
// as a duration such as "30s".
const TTLVariable = "BRONZE_DISCOVERY_TTL"

// DefaultTTL is how long that is where nothing is set. A node that dies is forgotten between two thirds of it and all
// of it later.
const DefaultTTL = 45 * time.Second

// The bounds of what may be set. Servers refuse a longer one.
const (
	minTTL = 3 * time.Second
	maxTTL = 30 * time.Minute
)

// settings are what the machine config says of discovery.
type settings struct {
	// enabled is whether there is any; service whether the node talks to others about it.
	enabled, service bool
	clusterID        string
	clusterName      string
	// secretText is cluster.secret, and secret the same ready for use; nil where the service is off.
	secretText string
	secret     *seal.Secret
	ttl        time.Duration
	// own is "host:port" of discovery at the cluster's endpoint, and extra a server that the machine config names; the
	// zero server where it names none.
	own   string
	extra server
}

// server is one to talk to.
type server struct {
	address string
	// public is one outside the cluster, which authorities of the world vouch for.
	public bool
	// plain is one without TLS.
	plain bool
}

// TTL is what the machine config sets TTLVariable to, or else DefaultTTL. A document of kind EnvironmentConfig goes before
// machine.env, as everywhere.
func TTL(cfg config.Config) (time.Duration, error) {
	text, ok := cfg.Environment().Variables()[TTLVariable]
	if !ok {
		text = cfg.Machine().Env()[TTLVariable]
	}

	if text == "" {
		return DefaultTTL, nil
	}

	ttl, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("cannot read %s of the machine config's environment: %w", TTLVariable, err)
	}

	if ttl < minTTL || ttl > maxTTL {
		return 0, fmt.Errorf("cannot use %s=%s of the machine config's environment: give a duration from %s to %s", TTLVariable, ttl, minTTL, maxTTL)
	}

	return ttl, nil
}

// settingsOf reads them; port is that of the cluster's own servers. With an error they are usable all the same: what cannot be read is off or as by default.
func settingsOf(cfg config.Config, port int) (settings, error) {
	cluster, discovery := cfg.Cluster(), cfg.Cluster().Discovery()
	result := settings{clusterID: cluster.ID(), clusterName: cluster.Name(), enabled: discovery.Enabled(), ttl: DefaultTTL}

	if !result.enabled || !discovery.Registries().Service().Enabled() {
		return result, nil
	}

	secret, err := seal.New(cluster.Secret())
	if err != nil {
		return result, err
	}

	if cluster.ID() == "" {
		return result, fmt.Errorf("cannot take part in discovery: the machine config has no cluster.id")
	}

	result.service, result.secret, result.secretText = true, secret, cluster.Secret()
	result.own = net.JoinHostPort(cluster.Endpoint().Hostname(), strconv.Itoa(port))

	ttl, ttlErr := TTL(cfg)
	if ttlErr == nil {
		result.ttl = ttl
	}

	extra, extraErr := extraServer(discovery.Registries().Service().Endpoint())
	result.extra = extra

	return result, errors.Join(ttlErr, extraErr)
}

// extraServer is the zero server for Talos's public service, whose place the cluster's own servers take.
func extraServer(endpoint string) (server, error) {
	if endpoint == "" || endpoint == constants.DefaultDiscoveryServiceEndpoint {
		return server{}, nil
	}

	parsed, err := url.ParseRequestURI(endpoint)
	if err != nil || parsed.Hostname() == "" {
		return server{}, fmt.Errorf("cannot use the endpoint %q of discovery: give https://host:port", endpoint)
	}

	plain := parsed.Scheme == "http"

	port := parsed.Port()
	switch {
	case port == "" && plain:
		port = "80"
	case port == "":
		port = "443"
	}

	return server{address: net.JoinHostPort(parsed.Hostname(), port), public: true, plain: plain}, nil
}

// sameTalk tells whether connections made for one settings serve the other too.
func (s settings) sameTalk(other settings) bool {
	return s.service == other.service && s.clusterID == other.clusterID && s.secretText == other.secretText && s.ttl == other.ttl
}
