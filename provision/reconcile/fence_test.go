package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// voters are members with these IDs, and learner is one that does not vote yet.
func voters(ids ...uint64) []picture.EtcdMember {
	var members []picture.EtcdMember
	for _, id := range ids {
		members = append(members, picture.EtcdMember{ID: id, Name: nodeOf(id), IP: netip.AddrFrom4([4]byte{10, 5, 0, byte(id)})})
	}
	return members
}

func learner(id uint64) picture.EtcdMember {
	member := voters(id)[0]
	member.Learner = true
	return member
}

func nodeOf(id uint64) string {
	return fmt.Sprintf("cp-%d", id)
}

// saying has each of the living say the same members and leader.
func saying(members []picture.EtcdMember, leader uint64, living ...uint64) map[string]picture.Interview {
	interviews := map[string]picture.Interview{}
	for _, id := range living {
		interviews[nodeOf(id)] = picture.Interview{Etcd: &picture.EtcdAnswer{Self: id, Leader: leader, Members: members}}
	}
	return interviews
}

// fenceCase is what is said, and what a fence makes of it.
type fenceCase struct {
	name       string
	interviews map[string]picture.Interview
	id         uint64
	member     bool
	// why is a part of the error; hopeless is that waiting does not mend it.
	why      string
	hopeless bool
}

func (test fenceCase) check(t *testing.T, fence func(map[string]picture.Interview, uint64) (bool, error)) {
	member, err := fence(test.interviews, test.id)
	switch {
	case test.why == "" && (err != nil || member != test.member):
		t.Errorf("= %t, %v, want %t", member, err, test.member)
	case test.why != "" && (err == nil || !strings.Contains(err.Error(), test.why)):
		t.Errorf("error %v, want one with %q", err, test.why)
	case errors.Is(err, provision.ErrHopeless) != test.hopeless:
		t.Errorf("hopeless %t, want %t", !test.hopeless, test.hopeless)
	}
}

func TestADeadMemberIsRemovedOnlyByAMajorityThatAgrees(t *testing.T) {
	split := saying(voters(1, 2, 3), 2, 2, 3)
	split[nodeOf(3)].Etcd.Members = voters(1, 2, 3, 4)
	rival := saying(voters(1, 2, 3), 2, 2, 3)
	rival[nodeOf(3)].Etcd.Leader = 3
	for _, test := range []fenceCase{
		{name: "two of three live", interviews: saying(voters(1, 2, 3), 2, 2, 3), id: 1, member: true},
		{name: "it was removed before", interviews: saying(voters(2, 3), 2, 2, 3), id: 1},
		{name: "it lives", interviews: saying(voters(1, 2, 3), 2, 1, 2, 3), id: 1, why: "lives, on \"cp-1\"", hopeless: true},
		{name: "one of three lives", interviews: saying(voters(1, 2, 3), 3, 3), id: 1, why: "1 of 3 voters live, and 2 are needed"},
		{name: "one of two lives", interviews: saying(voters(1, 2), 2, 2), id: 1, why: "1 of 2 voters live, and 2 are needed"},
		{name: "another joins", interviews: saying(append(voters(1, 2, 3), learner(4)), 2, 2, 3), id: 1, why: "while member 4 joins"},
		{name: "it is the one that joined", interviews: saying(append(voters(1, 2, 3), learner(4)), 2, 1, 2, 3), id: 4, member: true},
		{name: "nobody leads", interviews: saying(voters(1, 2, 3), 0, 2, 3), id: 1, why: "who leads"},
		{name: "the lists differ", interviews: split, id: 1, why: "do not agree"},
		{name: "the leaders differ", interviews: rival, id: 1, why: "do not agree"},
		{name: "nobody answers", interviews: map[string]picture.Interview{"w": {}}, id: 1, why: "no member answers"},
	} {
		t.Run(test.name, func(t *testing.T) { test.check(t, fenceRemoval) })
	}
}

func TestALivingMemberLeavesOnlyWhereTheRestIsAMajority(t *testing.T) {
	for _, test := range []fenceCase{
		{name: "all three live", interviews: saying(voters(1, 2, 3), 2, 1, 2, 3), id: 1, member: true},
		{name: "both live", interviews: saying(voters(1, 2), 2, 1, 2), id: 1, member: true},
		{name: "it has left before", interviews: saying(voters(2, 3), 2, 2, 3), id: 1},
		{name: "it is alone", interviews: saying(voters(1), 1, 1), id: 1, why: "the only voter", hopeless: true},
		{name: "another is dead", interviews: saying(voters(1, 2, 3), 2, 1, 2), id: 1, why: "of 2 voters that stay 1 live", hopeless: true},
		{name: "another joins", interviews: saying(append(voters(1, 2, 3), learner(4)), 2, 1, 2, 3), id: 1, why: "while member 4 joins"},
	} {
		t.Run(test.name, func(t *testing.T) { test.check(t, fenceLeaving) })
	}
}

func TestWhyANodeDoesNotVoteYet(t *testing.T) {
	for _, test := range []struct {
		name       string
		interviews map[string]picture.Interview
		why        string
	}{
		{"it votes", saying(voters(1, 2), 1, 1, 2), ""},
		{"it does not answer", saying(voters(1, 2), 1, 1), "does not answer"},
		{"it learns", saying(append(voters(1), learner(2)), 1, 1, 2), "still learns"},
		{"it is not listed", saying(voters(1), 1, 1, 2), "no member yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			why := whyNotVoter(test.interviews, nodeOf(2))
			if (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
				t.Errorf("= %q, want %q", why, test.why)
			}
		})
	}
}
