package operate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func service(state string, healthy bool) Service {
	return Service{Node: "n", Message: &machine.ServiceInfo{Id: "etcd", State: state, Health: &machine.ServiceHealth{Healthy: healthy, LastMessage: "no leader"}}}
}

func members(node string, ids ...uint64) Answer[*machine.EtcdMembers] {
	list := &machine.EtcdMembers{}
	for _, id := range ids {
		list.Members = append(list.Members, &machine.EtcdMember{Id: id})
	}
	return Answer[*machine.EtcdMembers]{Node: node, Message: list}
}

func member(address string) *machine.EtcdMember {
	return &machine.EtcdMember{Hostname: "h-" + address, PeerUrls: []string{"https://" + address + ":2380"}}
}

func kubernetesNode(name, address string, ready corev1.ConditionStatus, cordoned bool) corev1.Node {
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{Unschedulable: cordoned},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Message: "no CNI\nmore"}},
		},
	}
}

func pod(ready corev1.ConditionStatus, going bool) corev1.Pod {
	p := corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}}
	if going {
		p.DeletionTimestamp = &metav1.Time{}
	}
	return p
}

func TestReasonsForBadHealth(t *testing.T) {
	good := kubernetesNode("a", "10.5.0.2", corev1.ConditionTrue, false)
	expected := roster{controlPlanes: []string{"10.5.0.2"}, workers: []string{"10.5.0.3"}}
	pods := []string{"kube-system/kube-apiserver-a", "kube-system/kube-controller-manager-a", "kube-system/kube-scheduler-a"}
	for name, test := range map[string]struct{ got, want string }{
		"a healthy service":                {whyNotHealthy([]Service{service("Running", true)}), ""},
		"a sick service":                   {whyNotHealthy([]Service{service("Running", false)}), "node n: etcd is not healthy no leader"},
		"a service that waits":             {whyNotHealthy([]Service{service("Waiting", true)}), "node n: etcd is Waiting"},
		"members alike":                    {whyInconsistent([]Answer[*machine.EtcdMembers]{members("a", 1, 2), members("b", 2, 1)}), ""},
		"members that differ":              {whyInconsistent([]Answer[*machine.EtcdMembers]{members("a", 1, 2), members("b", 1)}), "node b sees 1 members, others than node a does"},
		"members on control planes":        {whyNotControlPlanes([]*machine.EtcdMember{member("10.5.0.2")}, []string{"10.5.0.2"}), ""},
		"a member elsewhere":               {whyNotControlPlanes([]*machine.EtcdMember{member("10.5.0.7")}, []string{"10.5.0.2"}), "etcd's member h-10.5.0.7 is none of the control planes"},
		"a control plane without member":   {whyNotControlPlanes(nil, []string{"10.5.0.2"}), "etcd has 0 members, the cluster 1 control planes"},
		"enough memory":                    {whyTooSmall("memory", 2<<30, leastControlPlane), ""},
		"little memory":                    {whyTooSmall("memory", 512<<20, leastWorker), "its memory of 512 MiB is less than 874 MiB"},
		"a node that is missing":           {whyNotReported([]corev1.Node{good}, expected), "node 10.5.0.3 has not joined Kubernetes"},
		"nodes that are all there":         {whyNotReported([]corev1.Node{good, kubernetesNode("b", "10.5.0.3", corev1.ConditionFalse, false)}, expected), ""},
		"nodes that are ready":             {whyNotReady([]corev1.Node{good}, expected), ""},
		"a node that is not ready":         {whyNotReady([]corev1.Node{kubernetesNode("b", "", corev1.ConditionFalse, false)}, expected), "b is not ready: no CNI"},
		"a cordoned node":                  {whyNotSchedulable([]corev1.Node{good, kubernetesNode("b", "", corev1.ConditionTrue, true)}, expected), "b is cordoned"},
		"pods that are ready":              {whyPodsNotReady([]corev1.Pod{pod("True", false)}, "x", 1), ""},
		"a pod that goes":                  {whyPodsNotReady([]corev1.Pod{pod("True", true), pod("False", false)}, "x", 1), "0 of 1 pods with x are ready"},
		"static pods that run":             {whyNotRunning(map[string][]string{"a": pods}, []string{"a"}), ""},
		"a static pod that does not run":   {whyNotRunning(map[string][]string{"a": pods[:2]}, []string{"a"}), "node a: kube-scheduler does not run"},
		"a control plane that says little": {whyNotRunning(nil, []string{"a"}), "node a: kube-apiserver does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLinesAreCutWhereverTheirPiecesEnd(t *testing.T) {
	long := strings.Repeat("x", longestLine)
	for name, test := range map[string]struct {
		pieces, want []string
	}{
		"across pieces":        {[]string{"a\nb", "c\n", "\nd"}, []string{"a", "bc", "", "d"}},
		"with carriage return": {[]string{"a\r\nb\n"}, []string{"a", "b"}},
		"nothing":              {[]string{""}, nil},
		"a line without end":   {[]string{long, "yy"}, []string{long, "yy"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			cut := &lines{hear: func(line string) error {
				got = append(got, line)
				return nil
			}}
			for _, piece := range test.pieces {
				if _, err := cut.Write([]byte(piece)); err != nil {
					t.Fatal(err)
				}
			}
			if err := cut.flush(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFilterIsReadAsTcpdumpPrintsIt(t *testing.T) {
	got, err := ParseFilter("{ 0x28, 0, 0, 0x0000000c },\n\n{ 0x15, 0, 8, 0x000086dd },\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []*machine.BPFInstruction{{Op: 0x28, K: 0xc}, {Op: 0x15, Jf: 8, K: 0x86dd}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if _, err := ParseFilter("tcp port 80"); err == nil {
		t.Error("an expression passes for instructions")
	}
}
