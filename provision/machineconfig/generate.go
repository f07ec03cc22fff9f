package machineconfig

import (
	"errors"
	"fmt"
	"net/url"

	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/provision"
)

// Generate makes the machine config (multi-document YAML) of every node of the cluster, by node name, with the patches
// applied and the result validated for a container node.
func Generate(cluster provision.Cluster, s Secrets, patches Patches) (map[string][]byte, error) {
	input, err := newInput(cluster, s)
	if err != nil {
		return nil, err
	}
	configs := map[string][]byte{}
	byRole := map[provision.Role][]byte{}
	for _, node := range cluster.Nodes {
		// Nothing in a machine config names its node: container nodes take hostname and address from the engine.
		if byRole[node.Role] == nil {
			if byRole[node.Role], err = forRole(input, node.Role, patches); err != nil {
				return nil, fmt.Errorf("machine config of role %s: %w", node.Role, err)
			}
		}
		configs[node.Name] = byRole[node.Role]
	}
	return configs, nil
}

func newInput(cluster provision.Cluster, s Secrets) (*generate.Input, error) {
	// An empty Kubernetes version leaves every component's image out, so that the node's own preloaded images are
	// used: images that the config names would have to be pulled.
	const noImages = ""
	input, err := generate.NewInput(cluster.Name, cluster.Endpoint, noImages,
		generate.WithSecretsBundle(s.bundle),
		generate.WithAdditionalSubjectAltNames(subjectAltNames(cluster)),
		generate.WithAllowSchedulingOnControlPlanes(!hasWorkers(cluster)),
		generate.WithClusterDiscovery(true),
	)
	if err != nil {
		return nil, fmt.Errorf("generating machine config: %w", err)
	}
	return input, nil
}

// subjectAltNames lists where clients reach the control planes, besides the endpoint's own host, which machinery adds.
func subjectAltNames(cluster provision.Cluster) []string {
	names := []string{"127.0.0.1", cluster.Network.Subnet.Masked().Addr().Next().String()}
	endpoint, err := url.Parse(cluster.Endpoint)
	for _, node := range cluster.Nodes {
		if node.Role != provision.ControlPlane || err == nil && endpoint.Hostname() == node.IP.String() {
			continue
		}
		names = append(names, node.IP.String())
	}
	return names
}

func hasWorkers(cluster provision.Cluster) bool {
	for _, node := range cluster.Nodes {
		if node.Role == provision.Worker {
			return true
		}
	}
	return false
}

func forRole(input *generate.Input, role provision.Role, patches Patches) ([]byte, error) {
	kind, err := machine.ParseType(string(role))
	if err != nil {
		return nil, fmt.Errorf("cannot use role %q: %w", role, err)
	}
	generated, err := input.Config(kind)
	if err != nil {
		return nil, err
	}
	patched, err := patches.apply(generated, role)
	if err != nil {
		return nil, err
	}
	if err := validate(patched, kind); err != nil {
		return nil, err
	}
	return patched.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
}

func validate(config machineryconfig.Provider, kind machine.Type) error {
	if config.Machine() == nil || config.Cluster() == nil {
		return errors.New("cannot use a config without the sections machine and cluster; a patch removed them")
	}
	if got := config.Machine().Type(); got != kind {
		return fmt.Errorf("cannot change machine.type from %s to %s by a patch", kind, got)
	}
	if _, err := config.Validate(containerMode{}); err != nil {
		return fmt.Errorf("cannot use the patched config: %w", oneLine(err))
	}
	return nil
}

// containerMode tells machinery's validation that nodes are containers, which need no install disk.
type containerMode struct{}

func (containerMode) String() string        { return "container" }
func (containerMode) RequiresInstall() bool { return false }
func (containerMode) InContainer() bool     { return true }
