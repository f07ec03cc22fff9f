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
	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
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

// settingsOf reads them; port is that of the cluster's own servers. With an error they are usable all the same: what cannot be read is off or as by default.
func settingsOf(cfg config.Config, port int) (settings, error) {
	cluster, discovery := cfg.Cluster(), cfg.Cluster().Discovery()
	result := settings{clusterID: cluster.ID(), clusterName: cluster.Name(), enabled: discovery.Enabled(), ttl: ttl.Default}

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

	duration, durationErr := ttl.Of(cfg)
	if durationErr == nil {
		result.ttl = duration
	}

	extra, extraErr := extraServer(discovery.Registries().Service().Endpoint())
	result.extra = extra

	return result, errors.Join(durationErr, extraErr)
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
