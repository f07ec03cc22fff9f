// Package machine puts a node together: it knows which services there are, in which order they start and end, and what
// a control plane does besides. Everything it starts is of the rooms below it.
package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/google/uuid"
	"github.com/siderolabs/talos/pkg/machinery/config"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/boot"
	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/discovery"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/identity"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
	"github.com/bronze-os/bronze/images/machined/internal/reaper"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/resources/addresses"
	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
	"github.com/bronze-os/bronze/images/machined/internal/ring"
	"github.com/bronze-os/bronze/images/machined/internal/service"
	"github.com/bronze-os/bronze/images/node"
)

// stopLimit is how long all services together have to end; engines kill a container 10 s after they asked it to stop.
const stopLimit = 8 * time.Second

// Ending is how a machine ends. The zero value ends PID 1 and with it the node.
type Ending struct {
	// Reboot starts it over.
	Reboot bool
	// Wipe are directories to be emptied once nothing runs any more.
	Wipe []string
	// Actor is the ID of the call that asked for it; empty where the engine did.
	Actor string
}

// Machine is the node. New makes one, Run runs it.
type Machine struct {
	// config is nil in maintenance mode, which first ends.
	config, first *nodeconfig.Store
	// configured is closed once there is a first.
	configured chan struct{}
	// configuring is held while a config is taken.
	configuring sync.Mutex

	applied  applied
	versions node.Versions
	identity identity.Identity
	// bootID is another after every boot.
	bootID   string
	hostname string
	ip       netip.Addr
	// restarted is true where the kubelet has run on this node before.
	restarted bool
	log       *slog.Logger

	reaper    *reaper.Reaper
	services  *service.Supervisor
	state     state.State
	events    *events.Log
	stage     *resources.Stage
	addresses *addresses.Watcher
	// wrote wakes when parts of the machine config have become files.
	wrote     publish.Notice
	pki       *machinepki.Store
	discovery *discovery.Client
	// serving, settled and healthy hold clients of the Kubernetes API, each until it is fit for them; healthy is nil on a
	// worker, where nobody needs it.
	serving, settled, healthy *balance.Balancer

	membership membership
	// bootstrapped is closed once the node's API server may start, as its etcd is there or will be in a moment.
	bootstrapped chan struct{}
	bootstrap    sync.Once
	// filled is closed once the API holds what the cluster starts with.
	filled chan struct{}
	settle sync.Once
	// imported is closed once a control plane has what its static pods need: their images, and etcd.
	imported  chan struct{}
	importing sync.Once
	ending    chan Ending
}

// New reads the machine config, where there is one, and prepares the node's parts; ctx bounds everything that they will
// run.
func New(ctx context.Context, log *slog.Logger, ownLog *ring.Buffer) (*Machine, error) {
	manifest, err := node.Load()
	if err != nil {
		return nil, err
	}

	store, err := nodeconfig.Open(boot.MachineConfigPath, os.Getenv(boot.UserDataVariable))
	if err != nil && !errors.Is(err, nodeconfig.ErrNone) {
		return nil, err
	}

	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("cannot tell the node's name: %w", err)
	}

	ip, err := address()
	if err != nil {
		return nil, err
	}

	m := &Machine{
		config: store, applied: applied{}, versions: manifest.Versions, bootID: uuid.NewString(), hostname: hostname, ip: ip, restarted: kubelet.HasRun(), log: log,
		reaper: reaper.New(), services: service.New(ctx), events: events.New(), stage: resources.NewStage(),
		configured: make(chan struct{}), bootstrapped: make(chan struct{}), filled: make(chan struct{}),
		imported: make(chan struct{}), ending: make(chan Ending, 1),
	}
	m.services.AddLog("machined", ownLog)

	return m, m.prepare(ctx)
}

func (m *Machine) prepare(ctx context.Context) error {
	var err error

	if m.identity, err = identity.Load(identity.Path); err != nil {
		return err
	}

	if m.state, err = resources.New(ctx); err != nil {
		return err
	}

	if m.addresses, err = addresses.Open(); err != nil {
		return err
	}

	m.pki = machinepki.New(machinepki.Options{
		Config:    m.Config,
		Changed:   func() <-chan struct{} { return m.config.Changed() },
		Addresses: m.addresses,
		Hostname:  m.hostname,
		Log:       m.log,

		ControlPlanes: func() []netip.Addr { return m.controlPlaneAddresses(ctx) },
	})

	return nil
}

// Config answers the machine config as it is now. There is none in maintenance mode, where nothing asks for it.
func (m *Machine) Config() config.Provider { return m.config.Current() }

func (m *Machine) isControlPlane() bool {
	return m.Config().Machine().Type() != machinetype.TypeWorker
}

// Run boots the node, as soon as it has a machine config, and blocks until it is to end, by the API or because ctx does;
// all services have ended then. The error is nil unless booting or stopping went wrong.
func (m *Machine) Run(ctx context.Context) (Ending, error) {
	if m.config == nil {
		if err := m.maintain(ctx); err != nil || !m.leaveMaintenance() {
			return Ending{}, err
		}
	}

	if problems := apply.Missing(m.Config()); len(problems) > 0 {
		return Ending{}, &apply.InvalidError{Problems: problems}
	}

	m.discovery = m.discover()

	// Services go on for a moment after ctx has ended.
	if err := m.balance(context.WithoutCancel(ctx)); err != nil {
		return Ending{}, err
	}

	return m.boot(ctx)
}

func (m *Machine) boot(ctx context.Context) (Ending, error) {
	m.stage.Set(runtime.MachineStageBooting)
	m.log.Info("booting", "node", m.hostname, "ip", m.ip, "type", m.Config().Machine().Type().String(), "bronze", m.versions.Bronze)

	sequence := m.events.Begin("boot", "")

	if err := sequence.Phase("userSetup", "writeUserFiles", func() error { return m.begin(ctx) }); err != nil {
		sequence.End(err)

		return Ending{}, err
	}

	if m.isControlPlane() && m.member().HasData() {
		m.markBootstrapped()
	}

	// The sequence ends when the services work; whoever sums the machine up sees that, and tells.
	if err := sequence.Phase("startEverything", "startAllServices", m.startServices); err != nil {
		sequence.End(err)

		return Ending{}, err
	}

	m.stage.Set(runtime.MachineStageRunning)

	var ending Ending
	select {
	case ending = <-m.ending:
	case <-ctx.Done():
	}

	return ending, m.stop(ending)
}

func (m *Machine) startServices() error {
	for _, spec := range m.specs() {
		m.services.Add(spec)

		if err := m.services.Start(spec.ID); err != nil {
			return err
		}
	}

	return nil
}

// address is the node's own in the network that it shares with the others: the first IPv4 address of an interface that
// is not loopback. Services start before any pod network adds another.
func address() (netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot list network interfaces: %w", err)
	}

	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}

		found, err := i.Addrs()
		if err != nil {
			return netip.Addr{}, fmt.Errorf("cannot list the addresses of %s: %w", i.Name, err)
		}

		for _, address := range found {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Is4() {
				return prefix.Addr(), nil
			}
		}
	}

	return netip.Addr{}, errors.New("cannot find the node's address: no interface has IPv4")
}
