package machine

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/containerd"
	"github.com/bronze-os/bronze/images/machined/internal/etcd"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

func (m *Machine) markBootstrapped() {
	m.bootstrap.Do(func() { close(m.bootstrapped) })
}

func (m *Machine) awaitBootstrap(ctx context.Context, note func(string)) error {
	note("waiting for the cluster to be bootstrapped")

	select {
	case <-m.bootstrapped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Bootstrap starts etcd as the first member of a new cluster.
func (m *Machine) Bootstrap(_ context.Context, recover bool) error {
	switch {
	case !m.isControlPlane():
		return status.Error(codes.FailedPrecondition, "cannot bootstrap etcd on a worker; ask a control plane node")
	case recover:
		return status.Error(codes.Unimplemented, "recovering etcd from a snapshot is not supported yet")
	case etcd.HasData():
		return status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	}

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

// controlPlane lets the static pods start, fills the API as soon as it answers, and then serves new nodes.
func (m *Machine) controlPlane(ctx context.Context) error {
	if err := m.bringImages(ctx); err != nil {
		return err
	}

	m.importing.Do(func() { close(m.imported) })

	config, err := m.adminTLS()
	if err != nil {
		return err
	}

	policy, err := kubernetes.Policy(ctx, m.reaper)
	if err != nil {
		return err
	}

	upstream, err := m.serving.Await(ctx)
	if err != nil {
		return err
	}

	m.log.Info("the Kubernetes API serves")

	api := kubeapi.New("https://"+upstream, config)
	defer api.Close()

	return m.control(ctx, api, policy)
}

// control fills the API and serves new nodes and their requests.
func (m *Machine) control(ctx context.Context, api *kubeapi.Client, policy []kubeapi.Object) error {
	pods, err := netip.ParsePrefix(m.Config().Cluster().Network().PodCIDRs()[0])
	if err != nil {
		return fmt.Errorf("cannot read the pod network of the machine config: %w", err)
	}

	nodes := &kubernetes.Nodes{API: api, PodCIDR: pods}
	requests := kubernetes.Requests{API: api, CA: m.Config().Cluster().IssuingCA()}

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return m.fill(ctx, api, policy) })
	group.Go(func() error { return nodes.Run(ctx) })
	group.Go(func() error { return requests.Run(ctx) })

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

	m.settle.Do(func() { close(m.filled) })

	return m.keepManifests(ctx, api, late)
}
