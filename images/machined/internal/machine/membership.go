package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	etcdresource "github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/etcd"
	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

const (
	// joinPause lies between two attempts to join etcd's cluster.
	joinPause = 500 * time.Millisecond
	// apiPause is how long a node that discovery tells nothing leaves between two questions to the Kubernetes API.
	apiPause = 10 * time.Second
	// tellAfter is how long etcd may take to settle before the log tells why it does not.
	tellAfter = 10 * time.Second
)

// standing is how the node stands to the etcd cluster.
type standing int

const (
	// outside has no data and no place in a cluster.
	outside standing = iota
	// founding is being made a founder.
	founding
	// founder makes a cluster of its own, because Bootstrap says so.
	founder
	// joiner has been listed by a cluster that there is.
	joiner
	// gone has left, and comes back only after a reboot.
	gone
)

// membership is the node's way into the etcd cluster. A node with data is in it, whatever it stands here.
type membership struct {
	mu       sync.Mutex
	standing standing
	// cluster is for etcd.Member.Arguments.
	cluster string
	// failed is true once etcd has ended by itself.
	failed bool
}

// become changes the standing if it is one of from, and tells whether it was.
func (s *membership) become(next standing, from ...standing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	if !slices.Contains(from, s.standing) {
		return false
	}

	s.standing = next

	return true
}

func (s *membership) is(one standing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.standing == one
}

func (s *membership) hasFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.failed
}

func (s *membership) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.failed = true
}

// place is the last answer of Join.
func (s *membership) place() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.cluster
}

func (s *membership) take(cluster string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.cluster = cluster
}

// awaitMembership is what etcd waits for: its data of an earlier run, Bootstrap, or a cluster to join.
func (m *Machine) awaitMembership(ctx context.Context, note func(string)) error {
	if m.member().HasData() {
		return m.refuseStale(ctx)
	}

	if m.membership.is(gone) {
		note("this node has left the etcd cluster; reboot it to join again, or reset it")
		<-ctx.Done()

		return ctx.Err()
	}

	note("waiting for the cluster to be bootstrapped, or for one to join")

	finder := &peerFinder{machine: m}

	for !m.membership.is(founder) {
		err := m.join(ctx, finder)
		if err == nil {
			return nil
		}

		if !errors.Is(err, etcd.ErrNoCluster) {
			note("waiting to join the etcd cluster: " + err.Error())
		}

		select {
		case <-m.bootstrapped:
		case <-time.After(joinPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}

func (m *Machine) join(ctx context.Context, finder *peerFinder) error {
	address, _, err := m.member().Find(ctx, finder.hosts(ctx))
	if err != nil {
		return err
	}

	// Bootstrap came in between.
	if !m.membership.become(joiner, outside, joiner) {
		return nil
	}

	cluster, err := m.member().Join(ctx, address, m.log)
	if err != nil {
		return err
	}

	m.membership.take(cluster)
	m.log.Info("joining the etcd cluster", "through", address)

	return nil
}

// refuseStale keeps etcd from starting over and over where the cluster has removed this node: its data are good for
// nothing then. It is asked only after etcd has failed, as a whole cluster that starts cannot answer.
func (m *Machine) refuseStale(ctx context.Context) error {
	if !m.membership.hasFailed() {
		return nil
	}

	_, members, err := m.member().Find(ctx, addressTexts(m.controlPlaneAddresses(ctx)))
	if removed := err == nil && !m.member().IsListed(members); !removed {
		return nil
	}

	m.log.Error("etcd cannot start: the cluster has removed this node, and its data are stale", "cure", "reset the node to join anew")

	return errors.New("the etcd cluster has removed this node, and its data are stale; reset the node to join anew")
}

// runEtcd runs the process, and beside it what brings the member to where it votes.
func (m *Machine) runEtcd(ctx context.Context, log io.Writer) error {
	beside, cancel := context.WithCancel(ctx)
	settled := make(chan struct{})

	go func() {
		defer close(settled)
		m.settleEtcd(beside)
	}()

	err := m.process(func() []string { return m.member().Arguments(m.membership.place()) })(ctx, log)

	cancel()
	<-settled

	if ctx.Err() == nil {
		m.membership.fail()
	}

	return err
}

// settleEtcd lets the node's API server start once the member votes, and tells the member's ID as a resource.
func (m *Machine) settleEtcd(ctx context.Context) {
	told := time.Now()

	id, err := m.member().Settle(ctx, func(why error) {
		if time.Since(told) > tellAfter {
			m.log.Warn("etcd does not serve yet", "reason", why)

			told = time.Now()
		}
	})
	if err != nil {
		return
	}

	m.markBootstrapped()

	resource := etcdresource.NewMember(etcdresource.NamespaceName, etcdresource.LocalMemberID)

	err = safe.StateModify(ctx, m.state, resource, func(member *etcdresource.Member) error {
		member.TypedSpec().MemberID = etcdresource.FormatMemberID(id)

		return nil
	})
	if err != nil && ctx.Err() == nil {
		m.log.Error("cannot publish the etcd member", "error", err)
	}
}

// LeaveEtcd takes the node's member out of the cluster and removes its data, which are good for nothing then.
func (m *Machine) LeaveEtcd(ctx context.Context) error {
	err := m.member().Leave(ctx)
	if errors.Is(err, etcd.ErrAlone) {
		return status.Errorf(codes.FailedPrecondition, "cannot leave etcd: %v; destroy the cluster, or reset the node without graceful", err)
	}

	if err != nil {
		return fmt.Errorf("leaving etcd: %w", err)
	}

	m.membership.become(gone, outside, founder, joiner)

	if err := m.services.Stop(ctx, "etcd"); err != nil {
		return err
	}

	member := etcdresource.NewMember(etcdresource.NamespaceName, etcdresource.LocalMemberID)
	if err := m.state.Destroy(ctx, member.Metadata()); err != nil && !state.IsNotFoundError(err) {
		m.log.Error("cannot take back the etcd member", "error", err)
	}

	return m.member().Forget()
}

// ForfeitLeadership has another member lead etcd.
func (m *Machine) ForfeitLeadership(ctx context.Context) (successor string, err error) {
	successor, err = m.member().Forfeit(ctx)
	if errors.Is(err, etcd.ErrAlone) {
		return "", status.Errorf(codes.FailedPrecondition, "cannot hand over etcd: %v", err)
	}

	return successor, err
}

// UploadSnapshot keeps a snapshot of etcd for Bootstrap.
func (m *Machine) UploadSnapshot(snapshot io.Reader) error {
	if m.member().HasData() {
		return status.Error(codes.FailedPrecondition,
			"this node is a member of etcd; reset it with `--system-labels-to-wipe EPHEMERAL --reboot --graceful=false` before it can recover from a snapshot")
	}

	return m.member().Upload(snapshot)
}

// peerFinder tells where members of etcd may be.
type peerFinder struct {
	machine *Machine
	asked   time.Time
	told    []string
}

// hosts are the control planes that discovery knows and the cluster's endpoint, which may be one. Where discovery knows
// nobody for a while, the Kubernetes API may.
func (f *peerFinder) hosts(ctx context.Context) []string {
	known := addressTexts(f.machine.controlPlaneAddresses(ctx))

	switch {
	case f.asked.IsZero():
		f.asked = time.Now()
	case len(known) == 0 && time.Since(f.asked) > apiPause:
		f.told = addressTexts(f.machine.apiServers(ctx))
		f.asked = time.Now()
	}

	if len(known) == 0 {
		known = f.told
	}

	endpoint := f.machine.Config().Cluster().Endpoint().Hostname()
	if endpoint != f.machine.ip.String() && !slices.Contains(known, endpoint) {
		known = append(known, endpoint)
	}

	return known
}

// apiServers asks the Kubernetes API behind the cluster's endpoint which other API servers there are.
func (m *Machine) apiServers(ctx context.Context) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, apiPause)
	defer cancel()

	config, err := m.adminTLS()
	if err != nil {
		return nil
	}

	api := kubeapi.New("https://"+m.endpoint(), config)
	defer api.Close()

	found, err := kubernetes.APIServers(ctx, api)
	if err != nil {
		return nil
	}

	return slices.DeleteFunc(found, func(address netip.Addr) bool { return address == m.ip })
}

func addressTexts(addresses []netip.Addr) []string {
	var texts []string
	for _, address := range addresses {
		texts = append(texts, address.String())
	}

	return texts
}
