package machineconfig

import (
	"errors"

	"github.com/bronze-os/bronze/provision"
)

// Facts are what a control plane's machine config tells of its cluster.
type Facts struct {
	// Secrets is the bundle, as BundleOf takes it.
	Secrets []byte
	// Endpoint is the URL of the Kubernetes API as the nodes reach it.
	Endpoint string
	// Expect is what health the cluster can come to.
	Expect provision.Expect
}

// FactsOf reads them. A config that is not a control plane's has no secrets, and is an error.
func FactsOf(config []byte) (Facts, error) {
	secrets, err := BundleOf(config)
	if err != nil {
		return Facts{}, err
	}
	if _, err := ParseSecrets(secrets); err != nil {
		return Facts{}, err
	}
	loaded, err := load(config)
	if err != nil {
		return Facts{}, err
	}
	endpoint := loaded.Cluster().Endpoint()
	if endpoint == nil || endpoint.Host == "" {
		return Facts{}, errors.New("cannot tell the cluster's endpoint: the machine config has none")
	}
	return Facts{Secrets: secrets, Endpoint: endpoint.String(), Expect: expect(loaded)}, nil
}
