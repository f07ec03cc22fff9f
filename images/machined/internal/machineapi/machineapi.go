// Package machineapi implements the calls of the machine API on this node. apid serves it, after it has checked who
// calls. It may import the supervisor, events and machinery, and does nothing to the machine but through Sequencer.
package machineapi

import (
	"context"
	"log/slog"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/api/inspect"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/config/apply"
	"github.com/bronze-os/bronze/images/machined/internal/containers"
	"github.com/bronze-os/bronze/images/machined/internal/events"
	"github.com/bronze-os/bronze/images/machined/internal/service"
)

// Sequencer changes the state of the whole machine.
type Sequencer interface {
	// Bootstrap makes the node the first member of a new etcd cluster. The error tells why it may not.
	Bootstrap(ctx context.Context, options BootstrapOptions) error
	// Shutdown and Reboot begin to end the machine and return at once, so that the caller still gets an answer.
	Shutdown(ctx context.Context) error
	Reboot(ctx context.Context) error
	// Reset begins to wipe the node. The error tells why it may not.
	Reset(ctx context.Context, options ResetOptions) error
}

// BootstrapOptions tell what a new etcd cluster is made of.
type BootstrapOptions struct {
	// Recover takes the snapshot that was uploaded before; without it the cluster is empty.
	Recover bool
	// SkipHashCheck takes a snapshot without a hash at its end too.
	SkipHashCheck bool
}

// Etcd tells where the node's etcd serves, and how to prove to it who asks. A worker has none: its zero value makes
// the etcd calls answer so.
type Etcd struct {
	// Endpoint is host:port.
	Endpoint string
	// CA, Cert and Key are paths of PEM files, read anew for each call.
	CA, Cert, Key string
	// Member is the node's own; nil on a worker.
	Member EtcdMember
}

// Version is what the node says of itself.
type Version struct {
	// Talos is the version of Talos that the node is compatible with, such as v1.13.3: clients compare it.
	Talos string
	// Bronze is the version of the node image.
	Bronze string
	// Platform is the kind of machine, such as container.
	Platform string
}

// Options are what the calls work on.
type Options struct {
	Services  *service.Supervisor
	Events    *events.Log
	Sequencer Sequencer
	// Configure does what the caller asks for with a machine config, or says why not; see apply.Decide for its errors.
	Configure func(context.Context, apply.Request) (apply.Plan, error)
	Version   Version
	Etcd      Etcd
	// Config answers the machine config as it is now, never nil; it is nil itself in maintenance mode.
	Config func() config.Provider
	// State holds the node's resources.
	State state.State
	// Containers is the node's containerd.
	Containers *containers.Client
	// RegistryHosts is the directory in which containerd finds how to reach registries.
	RegistryHosts string
	// Kubeconfig answers an administrator's kubeconfig; nil on a worker.
	Kubeconfig func() ([]byte, error)
	Hostname   string
	// PodLogs is the kubelet's directory of container logs; empty means /var/log/pods.
	PodLogs string
	// Log hears of calls that change the machine.
	Log *slog.Logger
}

// Register adds the machine API to a server, which must have calls.Gate in front: the services of which a container node
// has nothing are there for it to answer.
func Register(registrar grpc.ServiceRegistrar, opts Options) {
	if opts.PodLogs == "" {
		opts.PodLogs = "/var/log/pods"
	}

	s := &server{opts: opts}
	machine.RegisterMachineServiceServer(registrar, s)
	machine.RegisterImageServiceServer(registrar, images{server: s})
	inspect.RegisterInspectServiceServer(registrar, inspection{server: s})
	storage.RegisterStorageServiceServer(registrar, disks{})
	timeapi.RegisterTimeServiceServer(registrar, clock{server: s})
	machine.RegisterDebugServiceServer(registrar, machine.UnimplementedDebugServiceServer{})
	machine.RegisterLifecycleServiceServer(registrar, machine.UnimplementedLifecycleServiceServer{})
}

type server struct {
	machine.UnimplementedMachineServiceServer
	opts Options
}

// Bootstrap is part of machine.MachineServiceServer.
func (s *server) Bootstrap(ctx context.Context, request *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	options := BootstrapOptions{Recover: request.RecoverEtcd, SkipHashCheck: request.RecoverSkipHashCheck}
	if err := s.opts.Sequencer.Bootstrap(ctx, options); err != nil {
		if _, ok := status.FromError(err); ok {
			return nil, err
		}

		return nil, status.Errorf(codes.FailedPrecondition, "bootstrapping: %v", err)
	}

	s.opts.Log.InfoContext(ctx, "asked for bootstrap", "recover", request.RecoverEtcd)

	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{}}}, nil
}
