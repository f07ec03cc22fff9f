package providertest

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// etcd is one cluster's etcd with all that Kubernetes keeps in it. It is lost with the last of its members' volumes.
type etcd struct {
	cluster string
	// members are in the order in which they came.
	members []picture.EtcdMember
	leader  uint64
	nodes   map[string]picture.KubernetesNode
}

// seat is what a member keeps in its volume. It is no member's any more where the member was removed.
type seat struct {
	etcd *etcd
	id   uint64
	// left tells that the node gave its membership up, and does not join again by itself.
	left bool
}

// etcds are all that are kept in a volume.
func (m *Memory) etcds() []*etcd {
	var found []*etcd
	for _, disk := range m.disks {
		if disk.seat != nil && !slices.Contains(found, disk.seat.etcd) {
			found = append(found, disk.seat.etcd)
		}
	}
	return found
}

func (e *etcd) member(id uint64) (member picture.EtcdMember, found bool) {
	at := slices.IndexFunc(e.members, func(member picture.EtcdMember) bool { return member.ID == id })
	if at < 0 {
		return picture.EtcdMember{}, false
	}
	return e.members[at], true
}

func (e *etcd) voters() []picture.EtcdMember {
	return slices.DeleteFunc(slices.Clone(e.members), func(member picture.EtcdMember) bool { return member.Learner })
}

// found makes the node the only member of a new etcd.
func (m *Memory) found(machine provision.Machine) {
	e := &etcd{cluster: machine.Cluster, nodes: map[string]picture.KubernetesNode{}}
	m.enlist(e, machine, false)
	m.settle(machine.Cluster)
}

func (m *Memory) enlist(e *etcd, machine provision.Machine, learner bool) {
	m.serial++
	member := picture.EtcdMember{ID: uint64(m.serial) << 32, Name: m.hostname(machine), IP: machine.IP, Learner: learner}
	e.members = append(e.members, member)
	m.disk(machine, boot.EphemeralPath).seat = &seat{etcd: e, id: member.ID}
}

// seatOf is nil where the node has no etcd, or is no member of it any more.
func (m *Memory) seatOf(machine provision.Machine) *seat {
	seat := m.disk(machine, boot.EphemeralPath).seat
	if seat == nil {
		return nil
	}
	if _, is := seat.etcd.member(seat.id); !is {
		return nil
	}
	return seat
}

// living are the members' IDs whose nodes run.
func (m *Memory) living(e *etcd) []uint64 {
	var living []uint64
	for _, machine := range m.controlPlanesOf(e.cluster) {
		if seat := m.seatOf(machine); seat != nil && seat.etcd == e {
			living = append(living, seat.id)
		}
	}
	return living
}

// livingVoters counts the voters but one whose nodes run, and all of them.
func (m *Memory) livingVoters(e *etcd, but uint64) (living, all int) {
	running := m.living(e)
	for _, voter := range e.voters() {
		if voter.ID == but {
			continue
		}
		all++
		if slices.Contains(running, voter.ID) {
			living++
		}
	}
	return living, all
}

// quorate tells whether a majority of the voters runs; then there is a leader.
func (m *Memory) quorate(e *etcd) bool {
	living, all := m.livingVoters(e, 0)
	return living > all/2
}

// leaderOf is who led, or where that one is gone the first voter that runs; 0 without a majority.
func (m *Memory) leaderOf(e *etcd) uint64 {
	if !m.quorate(e) {
		return 0
	}
	running := m.living(e)
	votes := func(id uint64) bool {
		member, is := e.member(id)
		return is && !member.Learner && slices.Contains(running, id)
	}
	if !votes(e.leader) {
		e.leader = running[slices.IndexFunc(running, votes)]
	}
	return e.leader
}

// serving is the cluster's etcd that has a majority; nil where none has.
func (m *Memory) serving(cluster string) *etcd {
	for _, machine := range m.controlPlanesOf(cluster) {
		if seat := m.seatOf(machine); seat != nil && m.quorate(seat.etcd) {
			return seat.etcd
		}
	}
	return nil
}

// approach takes a control plane one step closer to a vote: from nothing to a learner, from there to a voter. One that
// gave up its membership, or that was removed, stays out.
func (m *Memory) approach(machine provision.Machine) {
	seat, e := m.disk(machine, boot.EphemeralPath).seat, m.serving(machine.Cluster)
	if e == nil {
		return
	}
	learning := slices.IndexFunc(e.members, func(member picture.EtcdMember) bool { return member.Learner })
	switch {
	case seat == nil && learning < 0:
		m.enlist(e, machine, true)
	case seat != nil && learning >= 0 && e.members[learning].ID == seat.id:
		e.members[learning].Learner = false
	}
}

// removable tells why a member cannot be struck off: those that stay must have a majority.
func (m *Memory) removable(e *etcd, id uint64) error {
	if living, all := m.livingVoters(e, id); living <= all/2 {
		return fmt.Errorf("cannot remove etcd member %x: not enough started members would stay", id)
	}
	return nil
}

func (e *etcd) strike(id uint64) {
	e.members = slices.DeleteFunc(e.members, func(member picture.EtcdMember) bool { return member.ID == id })
}

// forfeit lets another voter lead that runs, where there is one.
func (m *Memory) forfeit(from *seat) {
	running := m.living(from.etcd)
	for _, voter := range from.etcd.voters() {
		if voter.ID != from.id && slices.Contains(running, voter.ID) {
			from.etcd.leader = voter.ID
			return
		}
	}
}

var errNoLeader = errors.New("etcd has no leader")

// answer is what the node's etcd says; it needs no majority for that.
func (m *Memory) answer(machine provision.Machine) (*picture.EtcdAnswer, error) {
	seat := m.seatOf(machine)
	if seat == nil {
		return nil, errors.New("etcd does not run")
	}
	answer := &picture.EtcdAnswer{Self: seat.id, Leader: m.leaderOf(seat.etcd), Members: slices.Clone(seat.etcd.members)}
	slices.SortFunc(answer.Members, func(a, b picture.EtcdMember) int { return cmp.Compare(a.ID, b.ID) })
	return answer, nil
}

// backed tells whether the machine is one of those that the cluster's balancer carries to, where there is one.
func (m *Memory) backed(cluster provision.Cluster, ip netip.Addr) bool {
	return cluster.Balancer == nil || slices.Contains(m.backends[cluster.Balancer.Name], ip)
}
