package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// Load is the stored record of a cluster, or what Recall makes of the engine where none is stored: then recalled is true,
// and who changes the cluster stores it first. Errors: those of Recall.
func Load(ctx context.Context, store *provision.Store, engine Engine, name string) (record provision.Record, recalled bool, err error) {
	record, err = store.Load(name)
	if !errors.Is(err, provision.ErrNotFound) {
		return record, false, err
	}
	record, err = Recall(ctx, engine, name)
	return record, true, err
}

// Recall rebuilds the record of a cluster that is not stored from what the engine has of it. All machines with the
// cluster's labels are desired then, whoever made them, and the secrets are those of a control plane's machine config.
// What is lost are the config patches: those that were given at the beginning are in the machine configs. Errors:
// provision.ErrNotFound where the engine has nothing of the cluster, provision.ErrStateLost where that is not enough.
func Recall(ctx context.Context, engine Engine, name string) (provision.Record, error) {
	found, err := gather(ctx, engine, name)
	if err != nil {
		return provision.Record{}, fmt.Errorf("recalling cluster %q: %w", name, err)
	}
	record, err := found.record(name, engine.Name())
	if err != nil {
		return provision.Record{}, fmt.Errorf("recalling cluster %q: %w", name, err)
	}
	// When it was made is lost; the record is made now.
	record.Cluster.Created = time.Now().UTC().Truncate(time.Second)
	return record, nil
}

// remains are what the engine tells of a cluster.
type remains struct {
	observed provision.Observed
	// nodes and configs are what the machines were made with, by name, the balancer's among the nodes.
	nodes   map[string]provision.Node
	configs map[string][]byte
	// versions are those of Kubernetes, by node image.
	versions map[string]string
}

func gather(ctx context.Context, engine Engine, name string) (remains, error) {
	observed, err := engine.Observe(ctx, name)
	if err != nil {
		return remains{}, err
	}
	if observed.Empty() {
		return remains{}, provision.WithHint(provision.ErrNotFound, "bronze cluster list shows those that are there")
	}
	found := remains{
		observed: observed, nodes: map[string]provision.Node{}, configs: map[string][]byte{}, versions: map[string]string{},
	}
	for _, machine := range slices.Concat(observed.Machines, observed.Balancers) {
		node, config, err := engine.Inspect(ctx, machine)
		if err != nil {
			return remains{}, fmt.Errorf("inspecting %q: %w", machine.Name, err)
		}
		found.nodes[machine.Name], found.configs[machine.Name] = node, config
		if err := found.appraise(ctx, engine, machine.Image); err != nil {
			return remains{}, err
		}
	}
	return found, nil
}

// appraise learns what Kubernetes an image brings. An image that is gone tells nothing, and its machines run all the same.
func (r remains) appraise(ctx context.Context, engine Engine, image string) error {
	appraiser, ok := engine.(provision.Appraiser)
	if _, known := r.versions[image]; known || !ok {
		return nil
	}
	version, err := appraiser.KubernetesVersion(ctx, image)
	if ctx.Err() != nil {
		return err
	}
	r.versions[image] = version
	return nil
}

// record makes of the remains what was stored once.
func (r remains) record(name, provider string) (provision.Record, error) {
	nodes := r.desired()
	founder, facts, err := r.testimony()
	if err != nil {
		return provision.Record{}, err
	}
	network, err := r.network()
	if err != nil {
		return provision.Record{}, err
	}
	cluster := provision.Cluster{
		Name: name, Provider: provider,
		Image: founder.Image, KubernetesVersion: r.versions[founder.Image],
		Network: network, Endpoint: facts.Endpoint, Expect: facts.Expect,
	}
	cluster.Balancer = r.balancer(name, facts.Endpoint, network)
	cluster.Nodes = inOrder(nodes, cluster)
	for i, node := range cluster.Nodes {
		if node.Image == cluster.Image {
			cluster.Nodes[i].Image = ""
		}
	}
	record := provision.Record{Cluster: cluster, Secrets: facts.Secrets, Configs: map[string][]byte{}}
	for _, node := range cluster.Nodes {
		record.Configs[node.Name] = r.configs[node.Name]
	}
	record.Remember(r.observed)
	return record, nil
}

// desired are the nodes that have a machine.
func (r remains) desired() []provision.Node {
	var nodes []provision.Node
	for _, machine := range r.observed.Machines {
		if machine.Role != provision.ControlPlane && machine.Role != provision.Worker {
			continue
		}
		node := r.nodes[machine.Name]
		node.Name, node.Role, node.Image = machine.Name, machine.Role, machine.Image
		if machine.IP.IsValid() {
			node.IP = machine.IP
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// testimony finds a control plane whose machine config tells of the cluster, and what it tells.
func (r remains) testimony() (provision.Machine, machineconfig.Facts, error) {
	errs := []error{provision.ErrStateLost, errors.New("cannot take the cluster's secrets from any control plane")}
	for _, machine := range r.observed.Machines {
		if machine.Role != provision.ControlPlane {
			continue
		}
		if len(r.configs[machine.Name]) == 0 {
			errs = append(errs, fmt.Errorf("%s was made without a machine config", machine.Name))
			continue
		}
		facts, err := machineconfig.FactsOf(r.configs[machine.Name])
		if err == nil {
			return machine, facts, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", machine.Name, err))
	}
	return provision.Machine{}, machineconfig.Facts{}, provision.WithHint(errors.Join(errs...),
		"name the state directory that it was made with, with --state-dir, or bronze cluster destroy it")
}

func (r remains) network() (provision.Network, error) {
	for _, network := range r.observed.Networks {
		if network.Subnet.IsValid() {
			return provision.Network{Name: network.Name, Subnet: network.Subnet, MTU: cmp.Or(network.MTU, provision.DefaultMTU)}, nil
		}
	}
	return provision.Network{}, provision.WithHint(
		fmt.Errorf("%w: cannot tell its subnet, as its network is gone", provision.ErrStateLost),
		"name the state directory that it was made with, with --state-dir, or bronze cluster destroy it")
}

// balancer is the cluster's, also where its machine is gone: then the endpoint is still the address that balancers have,
// and the host's ports are chosen anew.
func (r remains) balancer(name, endpoint string, network provision.Network) *provision.Balancer {
	if len(r.observed.Balancers) > 0 {
		machine := r.observed.Balancers[0]
		ports := machine.Ports
		if len(ports) == 0 {
			ports = r.nodes[machine.Name].Ports
		}
		return &provision.Balancer{Name: machine.Name, IP: network.LastHost(), Ports: ports}
	}
	if hostOf(endpoint) != network.LastHost() {
		return nil
	}
	return &provision.Balancer{Name: provision.BalancerName(name), IP: network.LastHost(), Ports: provision.APIPorts()}
}

// hostOf is the address in an endpoint's URL; invalid where there is none.
func hostOf(endpoint string) netip.Addr {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return netip.Addr{}
	}
	host, err := netip.ParseAddr(parsed.Hostname())
	if err != nil {
		return netip.Addr{}
	}
	return host
}

// inOrder sorts nodes as a cluster has them: control planes, then workers, by their numbers. Where there is no balancer,
// the first is the control plane that is the endpoint.
func inOrder(nodes []provision.Node, cluster provision.Cluster) []provision.Node {
	rank := func(node provision.Node) int {
		switch {
		case cluster.Balancer == nil && node.IP == hostOf(cluster.Endpoint):
			return 0
		case node.Role == provision.ControlPlane:
			return 1
		default:
			return 2
		}
	}
	return slices.SortedFunc(slices.Values(nodes), func(a, b provision.Node) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(numberOf(a.Name), numberOf(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

// numberOf is the number at the end of a node's name; 0 where there is none.
func numberOf(name string) int {
	number, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
	if err != nil {
		return 0
	}
	return number
}
