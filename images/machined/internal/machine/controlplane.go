package machine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
	"github.com/bronze-os/bronze/images/machined/internal/machineapi"
)

func (m *Machine) markBootstrapped() {
	m.bootstrap.Do(func() { close(m.bootstrapped) })
}

// Bootstrap makes the node the first member of a new etcd cluster, out of an uploaded snapshot where one is to be
// recovered. Codes are AlreadyExists where the node is in a cluster already and FailedPrecondition where it may not.
func (m *Machine) Bootstrap(ctx context.Context, request machineapi.BootstrapOptions) error {
	switch {
	case !m.isControlPlane():
		return status.Error(codes.FailedPrecondition, "cannot bootstrap etcd on a worker; ask a control plane node")
	case m.member().HasData():
		return status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	case m.membership.is(founder), m.membership.is(joiner):
		return status.Error(codes.AlreadyExists, "this node is on its way into an etcd cluster already")
	case request.Recover && !m.member().HasSnapshot():
		return status.Error(codes.FailedPrecondition, "there is no snapshot to recover from; upload one with EtcdRecover first")
	}

	if address, _, err := m.member().Find(ctx, addressTexts(m.controlPlaneAddresses(ctx))); err == nil {
		return status.Errorf(codes.FailedPrecondition, "the cluster has been bootstrapped already: etcd answers at %s, and this node joins it by itself", address)
	}

	return m.found(ctx, request)
}

// found makes the node the founder, at most once.
func (m *Machine) found(ctx context.Context, request machineapi.BootstrapOptions) error {
	if !m.membership.become(founding, outside) {
		return status.Error(codes.AlreadyExists, "this node is on its way into an etcd cluster already")
	}

	if request.Recover {
		if err := m.member().Restore(ctx, m.reaper, request.SkipHashCheck); err != nil {
			m.membership.become(outside, founding)

			return status.Errorf(codes.InvalidArgument, "%v", err)
		}
	}

	m.membership.become(founder, founding)
	m.markBootstrapped()

	return nil
}

// importImages brings in the node's images once containerd answers, and blocks on until ctx ends.
func (m *Machine) importImages(ctx context.Context) error {
	if err := m.bringImages(ctx); err != nil {
		return err
	}

	<-ctx.Done()

	return nil
}

func (m *Machine) bringImages(ctx context.Context) error {
	if err := poll(ctx, func() bool { return containerd.Healthy(ctx) == nil }); err != nil {
		return err
	}

	return containerd.ImportImages(ctx, m.reaper)
}

// controlPlane lets the static pods start, fills the API as soon as it answers, and then serves new nodes. Every control
// plane does, each of these things can be done again, and so the others go on when one is gone.
func (m *Machine) controlPlane(ctx context.Context) error {
	if err := m.bringImages(ctx); err != nil {
		return err
	}

	// An API server without etcd would end and be started again, over and over.
	select {
	case <-m.bootstrapped:
	case <-ctx.Done():
		return ctx.Err()
	}

	m.importing.Do(func() { close(m.imported) })

	config, err := m.adminTLS()
	if err != nil {
		return err
	}

	policy, err := m.policy(ctx)
	if err != nil {
		return err
	}

	if _, err := m.serving.Await(ctx); err != nil {
		return err
	}

	m.log.Info("the Kubernetes API serves")

	// Through the balancer, so that the work goes on where the own API server does not.
	api := kubeapi.New("https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(m.servingPort())), config)
	defer api.Close()

	return m.control(ctx, api, policy)
}

// policy is what the API server of a new cluster would make for itself a second later. An older one has it.
func (m *Machine) policy(ctx context.Context) ([]kubeapi.Object, error) {
	if !m.membership.is(founder) {
		return nil, nil
	}

	return kubernetes.Policy(ctx, m.reaper)
}

// control fills the API and serves new nodes and their requests.
func (m *Machine) control(ctx context.Context, api *kubeapi.Client, policy []kubeapi.Object) error {
	pods, err := netip.ParsePrefix(m.Config().Cluster().Network().PodCIDRs()[0])
	if err != nil {
		return fmt.Errorf("cannot read the pod network of the machine config: %w", err)
	}

	nodes := &kubernetes.Nodes{API: api, PodCIDR: pods}
	requests := kubernetes.Requests{API: api, CA: m.Config().Cluster().IssuingCA()}
	mirrors := kubernetes.Mirrors{API: api, Node: m.hostname, Dir: kubernetes.ManifestsDir}

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return m.fill(ctx, api, policy) })
	group.Go(func() error { return nodes.Run(ctx) })
	group.Go(func() error { return requests.Run(ctx) })
	group.Go(func() error { return mirrors.Run(ctx) })

	return group.Wait()
}

// fill creates what the cluster starts with. Once the base and the roles are there, it opens the gate for all that
// waits for them; a manifest of the user's that the API does not take yet must not keep that shut.
func (m *Machine) fill(ctx context.Context, api *kubeapi.Client, policy []kubeapi.Object) error {
	base, err := m.kubernetes().Base()
	if err != nil {
		return err
	}

	early, late := kubernetes.SplitPolicy(policy)

	if err := kubernetes.Fill(ctx, api, append(base, early...), m.log); err != nil {
		return err
	}

	if err := m.openGates(ctx, api); err != nil {
		return err
	}

	return m.keepManifests(ctx, api, late)
}

// openGates lets the components in that waited for the API to be filled. Until then none of this node's can have taken a
// lease in this run.
func (m *Machine) openGates(ctx context.Context, api *kubeapi.Client) error {
	select {
	case <-m.filled:
		return nil
	default:
	}

	if !m.membership.is(founder) {
		if err := kubernetes.ReleaseLeases(ctx, api, m.hostname); err != nil {
			return err
		}
	}

	m.settle.Do(func() { close(m.filled) })

	// By now they look only now and then, and all that starts a pod waits behind them.
	m.settled.Renew()
	m.healthy.Renew()

	return nil
}
