package operatetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/cosi-project/runtime/pkg/state/registry"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// downFor is how long a node that reboots does not answer.
const downFor = 150 * time.Millisecond

// Node is a node that behaves.
type Node struct {
	address string

	mutex    sync.Mutex
	config   []byte
	down     bool
	services map[string]string
	// uploaded is a snapshot to recover etcd from; founded tells that etcd was.
	uploaded []byte
	founded  bool
	state    state.State
}

// Config is the machine config that the node runs with; empty in maintenance mode.
func (n *Node) Config() string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return string(n.config)
}

// Uploaded is what was sent to recover etcd from.
func (n *Node) Uploaded() string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return string(n.uploaded)
}

func (n *Node) isDown() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.down
}

// baseConfig is what nodes run with at first.
const baseConfig = `version: v1alpha1
machine:
  type: worker
  token: abcdef.0123456789abcdef
  nodeLabels:
    zone: a
cluster:
  controlPlane:
    endpoint: https://10.5.0.2:6443
---
apiVersion: v1alpha1
kind: HostnameConfig
auto: stable
`

func newNode(t testing.TB, address, config string) *Node {
	t.Helper()
	n := &Node{
		address: address, config: []byte(config),
		services: map[string]string{"apid": "Running", "kubelet": "Running", "etcd": "Running"},
	}
	if address != ControlPlane {
		delete(n.services, "etcd")
	}
	must(t, n.boot(t.Context()))
	return n
}

// boot begins another run: what a node knows of itself is new.
func (n *Node) boot(ctx context.Context) error {
	fresh, err := newState(ctx)
	if err != nil {
		return err
	}
	status := runtime.NewMachineStatus()
	status.TypedSpec().Stage = runtime.MachineStageRunning
	status.TypedSpec().Status.Ready = true
	hostname := network.NewHostnameStatus(network.NamespaceName, network.HostnameID)
	hostname.TypedSpec().Hostname = "node-" + n.address
	all := []resource.Resource{status, hostname}
	for address, kind := range map[string]machinetype.Type{ControlPlane: machinetype.TypeControlPlane, Worker: machinetype.TypeWorker} {
		member := cluster.NewMember(cluster.NamespaceName, "node-"+address)
		*member.TypedSpec() = cluster.MemberSpec{
			NodeID: "id-" + address, Hostname: "node-" + address, MachineType: kind, Addresses: []netip.Addr{netip.MustParseAddr(address)},
		}
		all = append(all, member)
	}
	if loaded, err := configloader.NewFromBytes(n.config); err == nil {
		all = append(all, config.NewMachineConfig(loaded))
	}
	for _, r := range all {
		if err := fresh.Create(ctx, r); err != nil {
			return err
		}
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.state, n.down = fresh, false
	return nil
}

func newState(ctx context.Context) (state.State, error) {
	fresh := state.WrapCore(namespaced.NewState(inmem.Build))
	if err := registry.NewNamespaceRegistry(fresh).RegisterDefault(ctx); err != nil {
		return nil, err
	}
	kinds := registry.NewResourceRegistry(fresh)
	if err := kinds.RegisterDefault(ctx); err != nil {
		return nil, err
	}
	for _, kind := range []meta.ResourceWithRD{
		&runtime.MachineStatus{}, &runtime.Diagnostic{}, &network.HostnameStatus{}, &cluster.Member{}, &config.MachineConfig{},
	} {
		if err := kinds.Register(ctx, kind); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// goDown makes the node stop answering; where it comes back, in another run.
func (n *Node) goDown(comesBack bool) {
	n.mutex.Lock()
	n.down = true
	n.mutex.Unlock()
	if comesBack {
		time.AfterFunc(downFor, func() {
			// In memory nothing can be in the way of a boot.
			_ = n.boot(context.Background())
		})
	}
}

// snapshot is a backup as etcd makes it: content, and its checksum behind.
func snapshot() []byte {
	content := bytes.Repeat([]byte("etcd"), 5000)
	sum := sha256.Sum256(content)
	return append(content, sum[:]...)
}
