package reconcile

import (
	"fmt"
	"strconv"

	"github.com/bronze-os/bronze/provision/picture"
)

// majority is how many of so many voters must live.
func majority(voters int) int {
	return voters/2 + 1
}

// memberName is how etcd writes a member's ID.
func memberName(id uint64) string {
	return strconv.FormatUint(id, 16)
}

// votes is etcd's arithmetic, as the steps that are planned so far leave it.
type votes struct {
	// members vote, or are to; alive are those of them that answer; joining have not joined for good yet.
	members, alive, joining int
	agreed                  bool
}

func votesOf(q picture.Quorum) votes {
	return votes{members: q.Members, alive: q.Alive, joining: q.Learners, agreed: q.Agreed}
}

// String is the arithmetic in words.
func (v votes) String() string {
	return fmt.Sprintf("%d members, %d alive, %d needed", v.members, v.alive, majority(v.members))
}

// without is what is left when a dead member is removed.
func (v votes) without(member picture.EtcdMember) votes {
	if member.Learner || member.Name == "" {
		v.joining--
	}
	if !member.Learner {
		v.members--
	}
	return v
}

// with is what there is when a new member votes.
func (v votes) with() votes {
	v.members++
	v.alive++
	return v
}

// parting is what is left when the node's member leaves, or is removed where it does not answer for itself.
func (v votes) parting(node picture.Node) votes {
	after := v.without(*node.Etcd)
	if answersForItself(node) && !node.Etcd.Learner {
		after.alive--
	}
	return after
}

// answersForItself tells whether the node's own etcd says that it is this member.
func answersForItself(node picture.Node) bool {
	return node.Etcd != nil && node.Answer != nil && node.Answer.Error == "" && node.Answer.Member == node.Etcd.ID
}

// whyNot tells why a dead member must not be removed.
func (v votes) whyNot(member picture.EtcdMember) string {
	return v.whyNotBecome(v.without(member))
}

// whyNotBecome tells why a member must not go whose going leaves that.
func (v votes) whyNotBecome(after votes) string {
	switch {
	case v.alive < majority(v.members):
		return fmt.Sprintf("etcd has no quorum: %s", v)
	case !v.agreed:
		return "etcd's members do not agree on who they are and who leads"
	case after.joining > 0:
		return "an etcd member joins right now"
	case after.alive < majority(after.members):
		return fmt.Sprintf("etcd would have no quorum: %s", after)
	default:
		return ""
	}
}
