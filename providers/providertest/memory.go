// Package providertest holds what tests of clusters need: one suite that every provider passes, and an engine in memory
// that behaves as one does, with nodes that answer: they keep an identity in their volumes, join etcd, discovery and
// Kubernetes, and are remembered there when their machines are gone. It imports provision, its picture and reconcile, and
// images/boot, and no provider.
package providertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// ErrCrashed is what every call answers once the process that makes it is to be thought dead.
var ErrCrashed = errors.New("the caller is dead")

// errSilent is what every call to an engine answers that does not answer.
var errSilent = errors.New("cannot ask the engine: it does not answer")

// firstPort is the first host port that Memory gives away.
const firstPort = 30000

// Memory is an engine in memory. Its machines, volumes and networks are made one effect at a time, and CrashAfter lets
// its caller die between any two of them. It may be used by many goroutines.
type Memory struct {
	mu     sync.Mutex
	images []string
	// broken is the image whose nodes never become Ready.
	broken   string
	serial   int
	machines map[string]provision.Machine
	volumes  map[string]provision.Volume
	networks map[string]provision.ObservedNetwork
	// made is what machines were made with, by ID.
	made map[string]made
	// configs are the machine configs that machines were made with, by name.
	configs map[string][]byte
	// backends are the addresses that each balancer carries to.
	backends map[string][]netip.Addr
	// disks are the contents of volumes, by name.
	disks map[string]*disk
	// snapshots are the Nodes that were in each snapshot that was taken, by its SHA-256.
	snapshots map[[32]byte]map[string]picture.KubernetesNode
	// heard are the affiliates that each discovery server knows, by the ID of its machine and by node ID.
	heard map[string]map[string]affiliate
	// silent tells that the engine does not answer; silence is closed when it begins not to.
	silent  bool
	silence chan struct{}
	// watchers are those who want to hear of a cluster.
	watchers map[*watcher]bool
	// effects counts what was changed; left is how many more changes are let through, negative for any number.
	effects, left int
}

var _ provision.Provider = (*Memory)(nil)

// made is what a machine was made with.
type made struct {
	// node has the ports that the host was found to have free for it.
	node   provision.Node
	config []byte
	// backends are a balancer's.
	backends []netip.Addr
	// home begins the names of its volumes: the node's name, or where the volumes have no names the machine's ID.
	home string
	// deregistered tells that its Node was deleted since it started: a kubelet registers once.
	deregistered bool
}

// NewMemory is an engine that has one image and nothing else.
func NewMemory(image string) *Memory {
	return &Memory{
		snapshots: map[[32]byte]map[string]picture.KubernetesNode{},
		images:    []string{image}, broken: "none", left: -1,
		configs:  map[string][]byte{},
		machines: map[string]provision.Machine{},
		volumes:  map[string]provision.Volume{},
		networks: map[string]provision.ObservedNetwork{},
		made:     map[string]made{},
		disks:    map[string]*disk{},
		heard:    map[string]map[string]affiliate{},
		watchers: map[*watcher]bool{},
		silence:  make(chan struct{}),
		backends: map[string][]netip.Addr{},
	}
}

// CrashAfter lets so many effects happen, and lets every call after them fail with ErrCrashed, until Revive.
func (m *Memory) CrashAfter(effects int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = effects
}

// Revive is a new caller.
func (m *Memory) Revive() {
	m.CrashAfter(-1)
}

// Effects counts the changes so far.
func (m *Memory) Effects() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.effects
}

// effect is called, with mu held, before every change.
func (m *Memory) effect(ctx context.Context) error {
	if m.left == 0 {
		return ErrCrashed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.left--
	m.effects++
	return nil
}

// alive is called, with mu held, before every question to a node.
func (m *Memory) alive(ctx context.Context) error {
	if m.left == 0 {
		return ErrCrashed
	}
	return ctx.Err()
}

// answers is called, with mu held, before every question to the engine.
func (m *Memory) answers(ctx context.Context) error {
	if m.silent {
		return errSilent
	}
	return m.alive(ctx)
}

// change is called, with mu held, before every change by the engine.
func (m *Memory) change(ctx context.Context) error {
	if m.silent {
		return errSilent
	}
	return m.effect(ctx)
}

// Name is "memory".
func (m *Memory) Name() string {
	return "memory"
}

// Preflight wants the image, and refuses names that others have.
func (m *Memory) Preflight(ctx context.Context, cluster provision.Cluster) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.answers(ctx); err != nil {
		return err
	}
	var errs []error
	if !slices.Contains(m.images, cluster.Image) {
		errs = append(errs, provision.WithHint(fmt.Errorf("cannot find image %s", cluster.Image), "bronze image build"))
	}
	if network, there := m.networks[cluster.Network.Name]; there && network.Cluster != cluster.Name {
		errs = append(errs, clash(KindNetwork, network.Name))
	}
	if balancer := cluster.Balancer; balancer != nil && m.isForeign(balancer.Name, cluster.Name) {
		errs = append(errs, clash(KindContainer, balancer.Name))
	}
	for _, node := range cluster.Nodes {
		if m.isForeign(node.Name, cluster.Name) {
			errs = append(errs, clash(KindContainer, node.Name))
		}
		for _, path := range boot.Volumes() {
			name := volumeName(node.Name, path)
			if volume, there := m.volumes[name]; there && volume.Cluster != cluster.Name {
				errs = append(errs, clash(KindVolume, name))
			}
		}
	}
	return errors.Join(errs...)
}

// isForeign tells whether a machine of that name is another's.
func (m *Memory) isForeign(name, cluster string) bool {
	machine, there := m.machines[name]
	return there && machine.Cluster != cluster
}

func clash(kind, name string) error {
	return provision.WithHint(fmt.Errorf("%s %q %w", kind, name, provision.ErrClash), "choose another name")
}

// Observe tells what there is, but for what is nobody's.
func (m *Memory) Observe(ctx context.Context, cluster string) (provision.Observed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.answers(ctx); err != nil {
		return provision.Observed{}, err
	}
	belongs := func(owner string) bool { return owner != "" && (cluster == "" || owner == cluster) }
	isBalancer := func(v provision.Machine) bool { return v.Role == provision.RoleBalancer }
	return provision.Observed{
		Machines:  pick(m.machines, func(v provision.Machine) bool { return belongs(v.Cluster) && !isBalancer(v) }),
		Balancers: pick(m.machines, func(v provision.Machine) bool { return belongs(v.Cluster) && isBalancer(v) }),
		Volumes:   pick(m.volumes, func(v provision.Volume) bool { return belongs(v.Cluster) }),
		Networks:  pick(m.networks, func(v provision.ObservedNetwork) bool { return belongs(v.Cluster) }),
	}, nil
}

// pick lists the wanted values in the order of their keys.
func pick[T any](values map[string]T, wanted func(T) bool) []T {
	picked := []T{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if wanted(values[key]) {
			picked = append(picked, values[key])
		}
	}
	return picked
}

// TakenSubnets lists the subnets of all networks but the cluster's own.
func (m *Memory) TakenSubnets(ctx context.Context, cluster string) ([]netip.Prefix, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var taken []netip.Prefix
	for _, network := range m.networks {
		if network.Cluster != cluster {
			taken = append(taken, network.Subnet)
		}
	}
	return taken, m.answers(ctx)
}

// Remove takes away machines, volumes and networks, an effect each.
func (m *Memory) Remove(ctx context.Context, observed provision.Observed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, machine := range slices.Concat(observed.Machines, observed.Balancers) {
		machine, there := m.withID(machine.ID)
		if !there {
			continue
		}
		if err := m.change(ctx); err != nil {
			return err
		}
		m.drop(machine)
	}
	if err := m.removeVolumes(ctx, observed.Volumes); err != nil {
		return err
	}
	return m.removeNetworks(ctx, observed.Networks)
}

// drop takes away a machine, and the volumes that have no names but by it.
func (m *Memory) drop(machine provision.Machine) {
	for _, path := range boot.Volumes() {
		delete(m.disks, volumeName(machine.ID, path))
	}
	delete(m.machines, machine.Name)
	delete(m.made, machine.ID)
	delete(m.heard, machine.ID)
	m.tell(machine.Cluster)
}

// userOf is the name of the machine that mounts the volume; empty where none does.
func (m *Memory) userOf(volume provision.Volume) string {
	for name, machine := range m.machines {
		if volume.Node != "" && m.made[machine.ID].home == volume.Node {
			return name
		}
	}
	return ""
}

func (m *Memory) removeVolumes(ctx context.Context, volumes []provision.Volume) error {
	for _, volume := range volumes {
		if _, there := m.volumes[volume.Name]; !there {
			continue
		}
		if user := m.userOf(volume); user != "" {
			return fmt.Errorf("cannot remove volume %q: machine %q has it", volume.Name, user)
		}
		if err := m.change(ctx); err != nil {
			return err
		}
		delete(m.volumes, volume.Name)
		delete(m.disks, volume.Name)
	}
	return nil
}

func (m *Memory) removeNetworks(ctx context.Context, networks []provision.ObservedNetwork) error {
	for _, network := range networks {
		if m.networks[network.Name].ID != network.ID {
			continue
		}
		for _, machine := range m.machines {
			if machine.Cluster == network.Cluster {
				return fmt.Errorf("cannot remove network %q: machine %q is on it", network.Name, machine.Name)
			}
		}
		if err := m.change(ctx); err != nil {
			return err
		}
		delete(m.networks, network.Name)
	}
	return nil
}
