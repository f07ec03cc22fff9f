package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/images/machined/internal/apid"
	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/containers"
	"github.com/bronze-os/bronze/images/machined/internal/etcd"
	"github.com/bronze-os/bronze/images/machined/internal/flannel"
	"github.com/bronze-os/bronze/images/machined/internal/health"
	"github.com/bronze-os/bronze/images/machined/internal/hostdns"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
	"github.com/bronze-os/bronze/images/machined/internal/registries"
	"github.com/bronze-os/bronze/images/machined/internal/resources"
	"github.com/bronze-os/bronze/images/machined/internal/service"
	"github.com/bronze-os/bronze/images/machined/internal/trustd"
)

// waitPause lies between two looks at what a service waits for.
const waitPause = 20 * time.Millisecond

// specs are the node's services, in the order in which they start; they end in the reverse.
func (m *Machine) specs() []service.Spec {
	specs := []service.Spec{
		inProcess("machined", m.publish),
		inProcess("machine-config", m.keepConfigured),
		inProcess("machine-pki", m.pki.Run),
		m.listening(inProcess("apid", m.serveAPI), boot.MachineAPIPort),
		{ID: "hostdns", Run: hostdns.Relay{Settings: m.resolver}.Run},
		m.containerd(),
	}

	if m.isControlPlane() {
		specs = append(specs, m.listening(inProcess("trustd", m.serveTrust), boot.TrustdPort), m.discoveryServer(), m.etcd(), inProcess("control-plane", m.controlPlane))
	} else {
		specs = append(specs, inProcess("images", m.importImages))
	}

	specs = append(specs,
		inProcess("discovery", m.discovery.Run),
		service.Spec{ID: "kubeprism", Run: m.serveBalancers, Healthy: m.serving.Healthy},
		m.kubelet(),
		inProcess("node", m.markNode))

	if m.Config().Cluster().Network().CNI().Name() == "flannel" {
		specs = append(specs, m.flanneld())
	}

	return specs
}

// inProcess is a service that is a function of machined.
func inProcess(id string, run func(context.Context) error) service.Spec {
	return service.Spec{ID: id, Run: func(ctx context.Context, _ io.Writer) error { return run(ctx) }}
}

// listening gives a service the health check of a server: whether its port takes connections.
func (m *Machine) listening(spec service.Spec, port int) service.Spec {
	address := net.JoinHostPort(m.ip.String(), strconv.Itoa(port))

	spec.Healthy = func(ctx context.Context) error {
		var dialer net.Dialer

		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", spec.ID, err)
		}

		return conn.Close()
	}

	return spec
}

func (m *Machine) serveAPI(ctx context.Context) error {
	runtime, err := containers.Dial(containerd.Socket)
	if err != nil {
		return err
	}
	defer runtime.Close()

	options := machineapi.Options{Containers: runtime, RegistryHosts: registries.HostsDir, Config: m.Config}

	if m.isControlPlane() {
		options.Kubeconfig = func() ([]byte, error) { return kubernetes.AdminKubeconfig(m.Config()) }
		options.Etcd = machineapi.Etcd{
			Endpoint: "127.0.0.1:" + strconv.Itoa(boot.EtcdClientPort),
			CA:       etcd.SecretsDir + "/ca.crt",
			Cert:     etcd.SecretsDir + "/admin.crt",
			Key:      etcd.SecretsDir + "/admin.key",
			Member:   m,
		}
	}

	return apid.Run(ctx, apid.Options{
		Log:      m.log,
		PKI:      m.pki,
		IsLocal:  apid.LocalTargets(m.hostname, m.addresses.List),
		Worker:   !m.isControlPlane(),
		Open:     func() bool { return !nodeconfig.RBAC(m.Config()) },
		Resolve:  func(ctx context.Context, name string) (netip.Addr, bool) { return memberAddress(ctx, m.state, name) },
		Register: m.registerAPI(options),
	})
}

// registerAPI adds the machine API to a server. options are what only some nodes have; it fills in the rest.
func (m *Machine) registerAPI(options machineapi.Options) func(grpc.ServiceRegistrar) {
	options.Services = m.services
	options.Events = m.events
	options.Sequencer = m
	options.Configure = m.Configure
	options.State = m.state
	options.Version = machineapi.Version{Talos: m.versions.Talos, Bronze: m.versions.Bronze, Platform: boot.PlatformContainer}
	options.Hostname = m.hostname
	options.Log = m.log

	return func(registrar grpc.ServiceRegistrar) {
		machineapi.Register(registrar, options)
		resources.Register(registrar, m.state, m.discovery.Forget)
		health.Register(registrar, m.health())
	}
}

func (m *Machine) serveTrust(ctx context.Context) error {
	return trustd.Run(ctx, trustd.Options{PKI: m.pki, Config: m.Config, Hostname: m.hostname, Log: m.log})
}

func (m *Machine) containerd() service.Spec {
	return service.Spec{
		ID:      "containerd",
		Wait:    m.awaitWork,
		Run:     m.process(containerd.Arguments),
		Healthy: containerd.Healthy,
	}
}

// apiPatience is how long a new worker leaves the machine to others.
const apiPatience = 15 * time.Second

// awaitWork keeps a worker that boots for the first time from starting what has nothing to do until the Kubernetes API
// is there. On one machine it would take the processors from the control plane that is to start that API.
func (m *Machine) awaitWork(ctx context.Context, note func(string)) error {
	if m.isControlPlane() || m.restarted {
		return nil
	}

	note("waiting for the Kubernetes API")

	config, err := m.clusterTLS()
	if err != nil {
		return err
	}

	api := kubeapi.New("https://"+m.endpoint(), config)
	defer api.Close()

	patient, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()

	// An answer of any kind will do. A connection alone will not: the port is open long before somebody serves it.
	err = poll(patient, func() bool {
		var status *kubeapi.StatusError
		err := api.Healthy(patient, "/livez")

		return err == nil || errors.As(err, &status)
	})
	if err != nil && ctx.Err() == nil {
		m.log.Warn("the Kubernetes API does not answer; starting all the same", "endpoint", m.endpoint())
	}

	return ctx.Err()
}

func (m *Machine) etcd() service.Spec {
	return service.Spec{
		ID:      "etcd",
		Wait:    m.awaitMembership,
		Run:     m.runEtcd,
		Healthy: func(ctx context.Context) error { return m.member().Healthy(ctx) },
	}
}

func (m *Machine) kubelet() service.Spec {
	return service.Spec{
		ID: "kubelet",
		Wait: func(ctx context.Context, note func(string)) error {
			note("waiting for containerd")
			return poll(ctx, func() bool { return containerd.Healthy(ctx) == nil })
		},
		Run:     m.process(func() []string { return m.ownKubelet().Arguments() }),
		Healthy: kubelet.Healthy,
	}
}

func (m *Machine) flanneld() service.Spec {
	run := m.process(func() []string {
		return flannel.Arguments(kubelet.FlannelKubeconfig, m.Config().Cluster().Network().CNI().Flannel().ExtraArgs())
	}, "NODE_NAME="+m.hostname)

	return service.Spec{
		ID: "flanneld",
		Wait: func(ctx context.Context, note func(string)) error {
			note("waiting for the kubelet's identity")
			return poll(ctx, m.ownKubelet().HasIdentity)
		},
		Run: func(ctx context.Context, log io.Writer) error {
			ctx, cancel := context.WithCancel(ctx)
			configured := make(chan error, 1)

			go func() { configured <- flannel.Configure(ctx) }()

			err := run(ctx, log)
			cancel()

			if failed := <-configured; failed != nil && err == nil && ctx.Err() == nil {
				return failed
			}

			return err
		},
		Healthy: flannel.Healthy,
	}
}

// process is the Run of a service that is a program of its own.
func (m *Machine) process(argv func() []string, env ...string) func(context.Context, io.Writer) error {
	return service.Process(m.reaper, func() (service.Command, error) {
		return service.Command{Argv: argv(), Env: slices.Concat(environment(), env, m.userEnvironment())}, nil
	})
}

// environment is what every program of a node gets. The last three let it start without collecting garbage and idle
// with little of it; see images/components/multicall.
func environment() []string {
	return []string{
		"PATH=/usr/bin:/usr/sbin:/usr/local/bin",
		"HOME=/root",
		"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
		"GOMEMLIMIT=100MiB",
		"BRONZE_DEFER_GC=20s",
		"GOGC=50",
	}
}

// poll blocks until done says so.
func poll(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-time.After(waitPause):
		case <-ctx.Done():
			return fmt.Errorf("waiting: %w", ctx.Err())
		}
	}

	return nil
}
