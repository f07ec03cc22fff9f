package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/bronze-os/bronze/provision/picture"
)

// testimony has a row for what each source says of a node.
func testimony(found looked, node picture.Node) [][]string {
	rows := [][]string{{"SOURCE", "SAYS"}}
	says := map[picture.Source][]string{
		picture.Desired: desiredWords(node), picture.Engine: engineWords(node),
		picture.Kubernetes: kubernetesWords(node.Kubernetes, found.sources.At), picture.Discovery: discoveryWords(node),
		picture.Etcd: etcdWords(node, found.picture.Quorum),
	}
	for _, source := range sourcesInOrder() {
		words := says[source]
		if why, silent := found.picture.Silent[source]; silent {
			words = []string{"does not answer: " + why}
		} else if len(words) == 0 {
			words = []string{"nothing"}
		}
		rows = append(rows, under(string(source), words)...)
	}
	return append(rows, under("the node", answerWords(node.Answer))...)
}

// under are rows of which the first alone has the heading.
func under(heading string, words []string) [][]string {
	var rows [][]string
	for i, word := range words {
		if i > 0 {
			heading = ""
		}
		rows = append(rows, []string{heading, word})
	}
	return rows
}

func desiredWords(node picture.Node) []string {
	desired := node.Desired
	if desired == nil {
		return nil
	}
	words := []string{fmt.Sprintf("a %s at %s with %g CPUs and %d MiB", desired.Role, desired.IP, desired.Resources.CPUs, desired.Resources.MemoryMiB)}
	if node.KnownID != "" {
		words = append(words, "last seen as machine "+node.KnownID)
	}
	return words
}

func engineWords(node picture.Node) []string {
	var words []string
	if machine := node.Machine; machine != nil {
		words = append(words, fmt.Sprintf("machine %s is %s", machine.ID, machine.State),
			fmt.Sprintf("it is a %s of image %s at %s", machine.Role, machine.Image, machine.IP))
	}
	for _, volume := range node.Volumes {
		words = append(words, fmt.Sprintf("volume %s for %s", volume.Name, volume.Path))
	}
	return words
}

func kubernetesWords(node *picture.KubernetesNode, at time.Time) []string {
	if node == nil {
		return nil
	}
	return []string{
		fmt.Sprintf("Node %s of UID %s is %s", node.Name, node.UID, kubernetesMark(*node)),
		fmt.Sprintf("it is at %s, with machine ID %s", node.IP, node.MachineID),
		"its kubelet was heard " + heard(node.Heartbeat, at),
	}
}

func heard(then, now time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return ago(then, now)
}

func discoveryWords(node picture.Node) []string {
	affiliate := node.Affiliate
	if affiliate == nil {
		return nil
	}
	var addresses []string
	for _, address := range affiliate.Addresses {
		addresses = append(addresses, address.String())
	}
	return []string{
		"affiliate " + affiliate.NodeID,
		fmt.Sprintf("it is %s at %s", strings.TrimSpace(string(affiliate.Role)+" "+affiliate.Hostname), strings.Join(addresses, ", ")),
		"known to " + strings.Join(node.HeardBy, ", "),
	}
}

func etcdWords(node picture.Node, q picture.Quorum) []string {
	member := node.Etcd
	if member == nil {
		return nil
	}
	return []string{
		fmt.Sprintf("member %s is %s", picture.MemberName(member.ID), etcdMark(*member, q.Leader == node.Name)),
		fmt.Sprintf("it is named %q, at %s", member.Name, member.IP),
		"of " + quorumWords(q),
	}
}

// answerWords are what the node says of itself.
func answerWords(answer *picture.Answer) []string {
	switch {
	case answer == nil:
		return []string{"was not asked"}
	case answer.Error != "":
		return []string{"does not answer: " + answer.Error}
	}
	words := []string{"answers as " + answer.NodeID}
	if answer.Member != 0 {
		words = append(words, "its etcd answers as member "+picture.MemberName(answer.Member))
	}
	if answer.EtcdError != "" {
		words = append(words, "its etcd does not answer: "+answer.EtcdError)
	}
	for _, alarm := range answer.Alarms {
		words = append(words, "its etcd raises the alarm "+alarm)
	}
	return words
}
