package kube

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

func TestNodesAreSeenWithTheirIdentity(t *testing.T) {
	reported := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	renewed := reported.Add(time.Minute)
	base := func(change func(*corev1.Node)) corev1.Node {
		node := corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "uid-a"},
			Status: corev1.NodeStatus{
				NodeInfo: corev1.NodeSystemInfo{MachineID: "0123"},
				Addresses: []corev1.NodeAddress{
					{Type: corev1.NodeHostName, Address: "a"}, {Type: corev1.NodeInternalIP, Address: "10.5.0.2"},
				},
				Conditions: []corev1.NodeCondition{
					{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(reported)},
				},
			},
		}
		change(&node)
		return node
	}
	seen := func(change func(*picture.KubernetesNode)) picture.KubernetesNode {
		node := picture.KubernetesNode{
			Name: "a", UID: "uid-a", MachineID: "0123", IP: netip.MustParseAddr("10.5.0.2"), Ready: true, Heartbeat: reported,
		}
		change(&node)
		return node
	}
	taint := func(effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: effect}}
		}
	}
	for name, test := range map[string]struct {
		node    corev1.Node
		renewed map[string]time.Time
		want    picture.KubernetesNode
	}{
		"without a lease":   {base(func(*corev1.Node) {}), nil, seen(func(*picture.KubernetesNode) {})},
		"another's lease":   {base(func(*corev1.Node) {}), map[string]time.Time{"b": renewed}, seen(func(*picture.KubernetesNode) {})},
		"with a lease":      {base(func(*corev1.Node) {}), map[string]time.Time{"a": renewed}, seen(func(n *picture.KubernetesNode) { n.Heartbeat = renewed })},
		"a control plane":   {base(func(n *corev1.Node) { n.Labels = map[string]string{controlPlaneLabel: ""} }), nil, seen(func(n *picture.KubernetesNode) { n.ControlPlane = true })},
		"cordoned":          {base(func(n *corev1.Node) { n.Spec.Unschedulable = true }), nil, seen(func(n *picture.KubernetesNode) { n.Unschedulable = true })},
		"out of service":    {base(taint(corev1.TaintEffectNoExecute)), nil, seen(func(n *picture.KubernetesNode) { n.OutOfService = true })},
		"a weaker taint":    {base(taint(corev1.TaintEffectNoSchedule)), nil, seen(func(*picture.KubernetesNode) {})},
		"not heard of":      {base(func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }), nil, seen(func(n *picture.KubernetesNode) { n.Ready = false })},
		"just registered":   {base(func(n *corev1.Node) { n.Status = corev1.NodeStatus{} }), nil, picture.KubernetesNode{Name: "a", UID: "uid-a"}},
		"an address broken": {base(func(n *corev1.Node) { n.Status.Addresses[1].Address = "ten" }), nil, seen(func(n *picture.KubernetesNode) { n.IP = netip.Addr{} })},
	} {
		t.Run(name, func(t *testing.T) {
			got := nodesSeen([]corev1.Node{test.node}, test.renewed)
			same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff([]picture.KubernetesNode{test.want}, got, same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNodesAreListedInOrderWithTheirLeases(t *testing.T) {
	at := metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	lease := leaseOf("a", "uid-a")
	lease.Spec = coordinationv1.LeaseSpec{RenewTime: &at}
	client, _ := fakeCluster(namedNode("b", "uid-b"), namedNode("a", "uid-a"), lease)
	nodes, err := client.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 2 || nodes[0].Name != "a" || !nodes[0].Heartbeat.Equal(at.Time) || nodes[1].Name != "b" {
		t.Errorf("nodes: %+v", nodes)
	}
}

func TestAnAPIThatDoesNotAnswerIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		resource string
		failure  error
		hopeless bool
	}{
		"nodes":        {"nodes", errors.New("connection refused"), false},
		"leases":       {"leases", errors.New("connection refused"), false},
		"unauthorized": {"nodes", apierrors.NewUnauthorized("no"), true},
	} {
		t.Run(name, func(t *testing.T) {
			client, set := fakeCluster()
			set.PrependReactor("list", test.resource, func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, test.failure
			})
			nodes, err := client.Nodes(t.Context())
			if err == nil || nodes != nil || errors.Is(err, provision.ErrHopeless) != test.hopeless {
				t.Errorf("Nodes = %v, %v", nodes, err)
			}
		})
	}
}
