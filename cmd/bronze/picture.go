package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// What a source has of a node where it has nothing, and where it does not answer.
const (
	markNone   = "-"
	markSilent = "?"
)

// sourcesInOrder are the columns of a picture.
func sourcesInOrder() []picture.Source {
	return []picture.Source{picture.Desired, picture.Engine, picture.Kubernetes, picture.Discovery, picture.Etcd}
}

// nodeRows has a row for every node of the picture, and one for the balancer.
func nodeRows(found looked) [][]string {
	rows := [][]string{{"NODE", "ROLE", "STATE", "ADDRESS", "DESIRED", "ENGINE", "KUBERNETES", "DISCOVERY", "ETCD"}}
	living := 0
	for _, node := range found.picture.Nodes {
		if node.Answer != nil && node.Answer.Error == "" {
			living++
		}
	}
	for _, node := range found.picture.Nodes {
		row := []string{node.Name, cmp.Or(string(node.Role), markNone), string(node.State), addressOf(node)}
		for _, source := range sourcesInOrder() {
			row = append(row, markOf(found.picture, node, source, living))
		}
		rows = append(rows, row)
	}
	if balancer, there := balancerRow(found); there {
		rows = append(rows, balancer)
	}
	return rows
}

// addressOf is where the node is, by the engine, or was to be.
func addressOf(node picture.Node) string {
	var known []netip.Addr
	if node.Machine != nil {
		known = append(known, node.Machine.IP)
	}
	if node.Desired != nil {
		known = append(known, node.Desired.IP)
	}
	if node.Kubernetes != nil {
		known = append(known, node.Kubernetes.IP)
	}
	if node.Affiliate != nil {
		known = append(known, node.Affiliate.Addresses...)
	}
	if node.Etcd != nil {
		known = append(known, node.Etcd.IP)
	}
	if i := slices.IndexFunc(known, netip.Addr.IsValid); i >= 0 {
		return known[i].String()
	}
	return markNone
}

// markOf is what a source has of a node, in a word. living is how many nodes answer.
func markOf(p picture.Picture, node picture.Node, source picture.Source, living int) string {
	if _, silent := p.Silent[source]; silent {
		return markSilent
	}
	switch {
	case source == picture.Desired && node.Desired != nil:
		return "yes"
	case source == picture.Engine && node.Machine != nil:
		return string(node.Machine.State)
	case source == picture.Engine && len(node.Volumes) > 0:
		return "volumes"
	case source == picture.Kubernetes && node.Kubernetes != nil:
		return kubernetesMark(*node.Kubernetes)
	case source == picture.Discovery && node.Affiliate != nil:
		return fmt.Sprintf("%d/%d", len(node.HeardBy), living)
	case source == picture.Etcd && node.Etcd != nil:
		return etcdMark(*node.Etcd, p.Quorum.Leader == node.Name)
	default:
		return markNone
	}
}

// kubernetesMark has kubectl's words.
func kubernetesMark(node picture.KubernetesNode) string {
	mark := "NotReady"
	if node.Ready {
		mark = "Ready"
	}
	if node.Unschedulable {
		mark += ",SchedulingDisabled"
	}
	return mark
}

func etcdMark(member picture.EtcdMember, leads bool) string {
	switch {
	case member.Name == "":
		return "unstarted"
	case member.Learner:
		return "learner"
	case leads:
		return "leader"
	default:
		return "voter"
	}
}

// balancerRow is that of the balancer, which only the desired state and the engine know.
func balancerRow(found looked) ([]string, bool) {
	state, address, desired := "missing", netip.Addr{}, markNone
	name := provision.BalancerName(found.picture.Cluster)
	if balancer := found.record.Cluster.Balancer; balancer != nil {
		name, address, desired = balancer.Name, balancer.IP, "yes"
	}
	machine := markNone
	for _, balancer := range found.sources.Engine.Balancers {
		state, address, machine = string(balancer.State), balancer.IP, string(balancer.State)
	}
	if found.sources.EngineError != "" {
		state, machine = string(picture.Unreachable), markSilent
	}
	row := []string{name, string(provision.RoleBalancer), state, address.String(), desired, machine}
	return row, desired != markNone || machine != markNone
}

// remarks are the lines below the table: who is not as it should be, etcd's arithmetic, and who does not answer.
func remarks(p picture.Picture) []string {
	var lines []string
	for _, node := range p.Nodes {
		if _, silent := p.Silent[picture.Engine]; !silent && node.State != picture.Running {
			lines = append(lines, fmt.Sprintf("%s is %s: %s", node.Name, node.State, node.Why))
		}
		for _, difference := range node.Disagreements {
			lines = append(lines, fmt.Sprintf("%s is %s, but %s", node.Name, node.State, difference))
		}
	}
	if _, silent := p.Silent[picture.Etcd]; !silent {
		lines = append(lines, "etcd has "+quorumWords(p.Quorum))
	}
	for _, source := range sourcesInOrder() {
		if why, silent := p.Silent[source]; silent {
			lines = append(lines, fmt.Sprintf("%s does not answer: %s", source, why))
		}
	}
	return lines
}

// quorumWords is the arithmetic of etcd, such as "3 members, 2 alive, 2 needed; dev-controlplane-1 leads".
func quorumWords(q picture.Quorum) string {
	members := "members"
	if q.Members == 1 {
		members = "member"
	}
	words := []string{fmt.Sprintf("%d %s, %d alive, %d needed", q.Members, members, q.Alive, q.Needed)}
	if q.Learners > 0 {
		words = append(words, fmt.Sprintf("%d that learn or have not started", q.Learners))
	}
	switch {
	case q.Leader == "":
		words = append(words, "they agree on no leader")
	case q.Agreed:
		words = append(words, q.Leader+" leads")
	default:
		words = append(words, q.Leader+" leads", "their lists of members differ")
	}
	return strings.Join(words, "; ")
}
