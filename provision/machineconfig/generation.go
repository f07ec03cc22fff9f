package machineconfig

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	machineryconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"github.com/bronze-os/bronze/provision"
)

// Generation says what machine configs are to be made of, for nodes that somebody else creates. Only Cluster and
// Endpoint must be said.
type Generation struct {
	Cluster string
	// Endpoint is the URL of the Kubernetes API.
	Endpoint string
	// Secrets is a bundle; fresh ones are made where it is empty.
	Secrets []byte
	// TalosVersion makes configs that nodes of that version read, such as v1.10; empty means the newest.
	TalosVersion string
	// KubernetesVersion names the components' images; where it is empty none are named, and nodes use their own.
	KubernetesVersion string
	SubjectAltNames   []string
	DNSDomain         string
	// InstallDisk and InstallImage matter to nodes that are not containers.
	InstallDisk, InstallImage string
	// RegistryMirrors are <host>=<URL>.
	RegistryMirrors []string
	NoDiscovery     bool
	KubeSpan        bool
	Patches         []provision.Patch
	// Docs and Examples put comments into the configs.
	Docs, Examples bool
}

// Generated is a config for each role, and a talosconfig that the same secrets sign.
type Generated struct {
	ControlPlane, Worker, Talosconfig []byte
}

// Generate makes machine configs as `talosctl gen config` does.
func Generate(g Generation) (Generated, error) {
	s, err := g.secrets()
	if err != nil {
		return Generated{}, err
	}
	input, err := g.input(s)
	if err != nil {
		return Generated{}, err
	}
	patches, err := parsePatches(g.Patches)
	if err != nil {
		return Generated{}, err
	}
	var made Generated
	for role, config := range map[provision.Role]*[]byte{
		provision.ControlPlane: &made.ControlPlane, provision.Worker: &made.Worker,
	} {
		if *config, err = g.config(input, role, patches); err != nil {
			return Generated{}, fmt.Errorf("machine config of role %s: %w", role, err)
		}
	}
	made.Talosconfig, err = s.Talosconfig(g.Cluster, "")
	return made, err
}

func (g Generation) secrets() (Secrets, error) {
	if len(g.Secrets) > 0 {
		return ParseSecrets(g.Secrets)
	}
	return freshSecrets(g.TalosVersion)
}

func (g Generation) config(input *generate.Input, role provision.Role, patches []patch) ([]byte, error) {
	kind, err := machine.ParseType(string(role))
	if err != nil {
		return nil, err
	}
	config, err := input.Config(kind)
	if err != nil {
		return nil, err
	}
	if config, err = patchFor(role, config, patches); err != nil {
		return nil, err
	}
	comments := encoder.CommentsDisabled
	if g.Docs {
		comments |= encoder.CommentsDocs
	}
	if g.Examples {
		comments |= encoder.CommentsExamples
	}
	return config.EncodeBytes(encoder.WithComments(comments))
}

func (g Generation) input(s Secrets) (*generate.Input, error) {
	endpoint, err := url.Parse(g.Endpoint)
	if err != nil || endpoint.Scheme != "https" || endpoint.Host == "" {
		err := fmt.Errorf("cannot use %q as the cluster's endpoint", g.Endpoint)
		return nil, provision.WithHint(err, "name the Kubernetes API's URL, such as https://10.5.0.2:6443")
	}
	options := []generate.Option{
		generate.WithSecretsBundle(s.bundle),
		generate.WithAdditionalSubjectAltNames(g.SubjectAltNames),
		generate.WithClusterDiscovery(!g.NoDiscovery),
		generate.WithInstallDisk(g.InstallDisk),
		generate.WithInstallImage(g.InstallImage),
	}
	if g.DNSDomain != "" {
		options = append(options, generate.WithDNSDomain(g.DNSDomain))
	}
	if g.KubeSpan {
		options = append(options, generate.WithKubeSpanEnabled(true))
	}
	contract, err := parseContract(g.TalosVersion)
	if err != nil {
		return nil, err
	}
	options = append(options, generate.WithVersionContract(contract))
	for _, mirror := range g.RegistryMirrors {
		host, address, said := strings.Cut(mirror, "=")
		if !said {
			return nil, fmt.Errorf("cannot read registry mirror %q: want <host>=<URL>", mirror)
		}
		options = append(options, generate.WithRegistryMirror(host, address))
	}
	return generate.NewInput(g.Cluster, g.Endpoint, strings.TrimPrefix(g.KubernetesVersion, "v"), options...)
}

// parseContract answers nil, which is the newest, where the version is empty.
func parseContract(version string) (*machineryconfig.VersionContract, error) {
	if version == "" {
		return nil, nil
	}
	contract, err := machineryconfig.ParseContractFromVersion(version)
	if err != nil {
		return nil, fmt.Errorf("cannot read Talos version %q: want one such as v1.13", version)
	}
	return contract, nil
}

// NewBundle makes fresh secrets for nodes of a Talos version, the newest where it is empty, as YAML.
func NewBundle(talosVersion string) ([]byte, error) {
	s, err := freshSecrets(talosVersion)
	if err != nil {
		return nil, err
	}
	return s.yaml()
}

func freshSecrets(talosVersion string) (Secrets, error) {
	if talosVersion == "" {
		return newSecrets(time.Now())
	}
	contract, err := parseContract(talosVersion)
	if err != nil {
		return Secrets{}, err
	}
	bundle, err := secrets.NewBundle(secrets.NewFixedClock(time.Now()), contract)
	if err != nil {
		return Secrets{}, fmt.Errorf("generating secrets: %w", err)
	}
	return Secrets{bundle: bundle}, nil
}

// BundleOf takes the secrets out of a control plane's machine config, as YAML.
func BundleOf(config []byte) ([]byte, error) {
	loaded, err := configloader.NewFromBytes(config)
	if err != nil {
		return nil, fmt.Errorf("cannot read the machine config: %w", oneLine(err))
	}
	if loaded.Machine() == nil || loaded.Cluster() == nil || !loaded.Machine().Type().IsControlPlane() {
		return nil, errors.New("cannot take secrets from this machine config: it is not that of a control plane")
	}
	return Secrets{bundle: secrets.NewBundleFromConfig(secrets.NewFixedClock(time.Now()), loaded)}.yaml()
}
