package machineconfig

import (
	"errors"
	"fmt"
	"time"

	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"github.com/bronze-os/bronze/provision"
)

// Generator implements provision.MachineConfigs.
type Generator struct{}

// NewSecrets makes a cluster's secrets bundle, as YAML that `talosctl gen config --with-secrets` reads too.
func (Generator) NewSecrets(provision.Cluster) ([]byte, error) {
	s, err := newSecrets(time.Now())
	if err != nil {
		return nil, err
	}
	return s.yaml()
}

// Render makes the machine config of every node, with the cluster's patches applied and the result validated for a
// container node. The same cluster and secrets give the same bytes.
func (Generator) Render(cluster provision.Cluster, bundle []byte) (provision.Configs, error) {
	s, err := ParseSecrets(bundle)
	if err != nil {
		return provision.Configs{}, err
	}
	patches, err := parsePatches(cluster.Patches)
	if err != nil {
		return provision.Configs{}, err
	}
	input, err := newInput(cluster, s)
	if err != nil {
		return provision.Configs{}, err
	}
	return render(cluster, input, patches)
}

func render(cluster provision.Cluster, input *generate.Input, patches []patch) (provision.Configs, error) {
	configs := provision.Configs{Nodes: map[string][]byte{}}
	byRole := map[provision.Role][]byte{}
	for _, node := range cluster.Nodes {
		// Nothing in a machine config names its node: container nodes take hostname and address from the engine.
		if byRole[node.Role] == nil {
			config, err := forRole(input, node.Role, patches)
			if err != nil {
				return provision.Configs{}, fmt.Errorf("machine config of role %s: %w", node.Role, err)
			}
			if node.Role == provision.ControlPlane {
				configs.Expect = expect(config)
			}
			if byRole[node.Role], err = config.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled)); err != nil {
				return provision.Configs{}, fmt.Errorf("cannot encode the machine config of role %s: %w", node.Role, err)
			}
		}
		configs.Nodes[node.Name] = byRole[node.Role]
	}
	return configs, nil
}

// expect reads from a control plane's config what health the cluster can come to.
func expect(config machineryconfig.Provider) provision.Expect {
	hasCNI := config.Cluster().Network().CNI().Name() != constants.NoneCNI
	return provision.Expect{NodesReady: hasCNI, CoreDNS: hasCNI && config.Cluster().CoreDNS().Enabled()}
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

// subjectAltNames lists where clients reach the control planes: a port map on loopback, their addresses, the gateway, the
// balancer.
func subjectAltNames(cluster provision.Cluster) []string {
	names := []string{"127.0.0.1"}
	for _, node := range cluster.Nodes {
		if node.Role == provision.ControlPlane {
			names = append(names, node.IP.String())
		}
	}
	names = append(names, cluster.Network.Gateway().String())
	if cluster.Balancer != nil {
		names = append(names, cluster.Balancer.IP.String())
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

func forRole(input *generate.Input, role provision.Role, patches []patch) (machineryconfig.Provider, error) {
	kind, err := machine.ParseType(string(role))
	if err != nil {
		return nil, fmt.Errorf("cannot use role %q: %w", role, err)
	}
	config, err := input.Config(kind)
	if err != nil {
		return nil, err
	}
	if config, err = patchFor(role, config, patches); err != nil {
		return nil, err
	}
	return config, validate(config, kind)
}

func validate(config machineryconfig.Provider, kind machine.Type) error {
	if config.Machine() == nil || config.Cluster() == nil {
		return errors.New("cannot use a config without the sections machine and cluster; a patch removed them")
	}
	if got := config.Machine().Type(); got != kind {
		return fmt.Errorf("cannot change machine.type from %s to %s by a patch", kind, got)
	}
	if _, err := config.Validate(ModeContainer); err != nil {
		return fmt.Errorf("cannot use the patched config: %w", oneLine(err))
	}
	return nil
}
