package picture

import (
	"cmp"
	"maps"
	"slices"
)

// heard is an affiliate with the names of those that know it.
type heard struct {
	affiliate Affiliate
	by        []string
}

// affiliates are all that any node has heard of, sorted. What a node says of itself counts before what others say of it.
func affiliates(interviews map[string]Interview) []heard {
	found := map[string]*heard{}
	for _, name := range slices.Sorted(maps.Keys(interviews)) {
		interview := interviews[name]
		for _, affiliate := range interview.Affiliates {
			one, known := found[affiliate.NodeID]
			if !known {
				one = &heard{affiliate: affiliate}
				found[affiliate.NodeID] = one
			}
			if affiliate.NodeID == interview.NodeID {
				one.affiliate = affiliate
			}
			one.by = append(one.by, name)
		}
	}
	var sorted []heard
	for _, id := range slices.Sorted(maps.Keys(found)) {
		found[id].by = slices.Compact(found[id].by)
		sorted = append(sorted, *found[id])
	}
	return sorted
}

// members are all that any member lists, sorted. What a member says of itself counts before what others say of it, as
// they may be behind.
func members(interviews map[string]Interview) []EtcdMember {
	found := map[uint64]EtcdMember{}
	for _, name := range slices.Sorted(maps.Keys(interviews)) {
		answer := interviews[name].Etcd
		if answer == nil {
			continue
		}
		for _, member := range answer.Members {
			if _, known := found[member.ID]; !known || member.ID == answer.Self {
				found[member.ID] = member
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b EtcdMember) int { return cmp.Compare(a.ID, b.ID) })
}

func answerOf(interview Interview) Answer {
	answer := Answer{NodeID: interview.NodeID, EtcdError: interview.EtcdError, Error: interview.Error}
	if interview.Etcd != nil {
		answer.Member, answer.Alarms = interview.Etcd.Self, interview.Etcd.Alarms
	}
	return answer
}

// silent says why sources did not answer.
func silent(sources Sources) map[Source]string {
	why := map[Source]string{}
	if sources.Desired == nil {
		why[Desired] = "the cluster is not in the state directory"
	}
	if sources.EngineError != "" {
		why[Engine] = sources.EngineError
	}
	if sources.KubernetesError != "" {
		why[Kubernetes] = sources.KubernetesError
	}
	if reason := unheard(sources.Interviews, func(i Interview) (bool, string) { return i.Error == "", i.Error }); reason != "" {
		why[Discovery] = reason
	}
	if reason := unheard(sources.Interviews, func(i Interview) (bool, string) { return i.Etcd != nil, cmp.Or(i.EtcdError, i.Error) }); reason != "" {
		why[Etcd] = reason
	}
	return why
}

// unheard is empty where any interview answers, and otherwise the first reason why none does.
func unheard(interviews map[string]Interview, answers func(Interview) (bool, string)) string {
	reason := "no node could be asked"
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(interviews))) {
		answered, why := answers(interviews[name])
		if answered {
			return ""
		}
		if why != "" {
			reason = name + ": " + why
		}
	}
	return reason
}

// quorum counts over all members that anyone lists.
func quorum(sources Sources, nodes []Node) Quorum {
	var q Quorum
	for _, node := range nodes {
		member := node.Etcd
		switch {
		case member == nil:
			continue
		case member.Learner:
			q.Learners++
			continue
		case member.Name == "":
			q.Learners++
		}
		q.Members++
		if node.Answer != nil && node.Answer.Error == "" && node.Answer.Member == member.ID {
			q.Alive++
		}
	}
	q.Needed = q.Members/2 + 1
	var leader uint64
	leader, q.Agreed = agreement(sources.Interviews)
	if at := slices.IndexFunc(nodes, func(n Node) bool { return n.Etcd != nil && n.Etcd.ID == leader }); at >= 0 {
		q.Leader = nodes[at].Name
	}
	return q
}

// agreement is the leader that all living members have, and whether they have the same list too. The leader is 0 where
// they differ.
func agreement(interviews map[string]Interview) (leader uint64, agreed bool) {
	var first *EtcdAnswer
	agreed = true
	for _, name := range slices.Sorted(maps.Keys(interviews)) {
		answer := interviews[name].Etcd
		switch {
		case answer == nil:
		case first == nil:
			first = answer
		case first.Leader != answer.Leader:
			return 0, false
		default:
			agreed = agreed && slices.Equal(byID(first.Members), byID(answer.Members))
		}
	}
	if first == nil || first.Leader == 0 {
		return 0, false
	}
	return first.Leader, agreed
}

func byID(members []EtcdMember) []EtcdMember {
	return slices.SortedFunc(slices.Values(members), func(a, b EtcdMember) int { return cmp.Compare(a.ID, b.ID) })
}
