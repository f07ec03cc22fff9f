package kube

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bronze-os/bronze/provision/picture"
)

// controlPlaneLabel is on the Nodes of control planes, as Talos and kubeadm have it.
const controlPlaneLabel = "node-role.kubernetes.io/control-plane"

// Nodes lists all, in the order of their names. An error means that the API did not answer; ErrHopeless is in it where
// asking again cannot help.
func (c *Client) Nodes(ctx context.Context) ([]picture.KubernetesNode, error) {
	var nodes *corev1.NodeList
	var leases *coordinationv1.LeaseList
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		nodes, err = c.set.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		return cannot("list Kubernetes nodes", err)
	})
	group.Go(func() (err error) {
		leases, err = c.set.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, metav1.ListOptions{})
		return cannot("list the leases of Kubernetes nodes", err)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return nodesSeen(nodes.Items, renewals(leases.Items)), nil
}

// cannot wraps a request's failure, and says where it is of the kind that stays.
func cannot(act string, err error) error {
	if err == nil {
		return nil
	}
	if _, hopeless := explain(err); hopeless != nil {
		err = hopeless
	}
	return fmt.Errorf("cannot %s: %w", act, err)
}

// renewals are the times at which the kubelets last renewed their leases, by the Nodes' names.
func renewals(leases []coordinationv1.Lease) map[string]time.Time {
	renewed := map[string]time.Time{}
	for _, lease := range leases {
		if lease.Spec.RenewTime != nil {
			renewed[lease.Name] = lease.Spec.RenewTime.Time
		}
	}
	return renewed
}

func nodesSeen(nodes []corev1.Node, renewed map[string]time.Time) []picture.KubernetesNode {
	seen := make([]picture.KubernetesNode, 0, len(nodes))
	for _, node := range nodes {
		_, controlPlane := node.Labels[controlPlaneLabel]
		found := picture.KubernetesNode{
			Name:          node.Name,
			UID:           string(node.UID),
			MachineID:     node.Status.NodeInfo.MachineID,
			IP:            internalIP(node),
			ControlPlane:  controlPlane,
			Unschedulable: node.Spec.Unschedulable,
			OutOfService:  outOfService(node),
		}
		found.Ready, found.Heartbeat = readiness(node)
		// The condition is written every five minutes where nothing changes, the lease every ten seconds.
		if at, leased := renewed[node.Name]; leased {
			found.Heartbeat = at
		}
		seen = append(seen, found)
	}
	slices.SortFunc(seen, func(a, b picture.KubernetesNode) int { return strings.Compare(a.Name, b.Name) })
	return seen
}

func internalIP(node corev1.Node) netip.Addr {
	for _, address := range node.Status.Addresses {
		ip, err := netip.ParseAddr(address.Address)
		if address.Type == corev1.NodeInternalIP && err == nil {
			return ip
		}
	}
	return netip.Addr{}
}

func readiness(node corev1.Node) (ready bool, reported time.Time) {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue, condition.LastHeartbeatTime.Time
		}
	}
	return false, time.Time{}
}

func outOfService(node corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
		return taint.Key == corev1.TaintNodeOutOfService && taint.Effect == corev1.TaintEffectNoExecute
	})
}
