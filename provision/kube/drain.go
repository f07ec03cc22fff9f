package kube

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// drainedAnnotation marks a node that Drain closed, so that Uncordon leaves alone one that somebody else did.
const drainedAnnotation = "bronze.local/drained"

// Drain closes a node for new pods and evicts those that a controller makes anew elsewhere. It tells which are left. A
// disruption budget that refuses an eviction is a reason to ask again.
func (c *Client) Drain(ctx context.Context, name string) (string, error) {
	if err := c.cordon(ctx, name); err != nil {
		return explain(err)
	}
	list, err := c.set.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", name).String(),
	})
	if err != nil {
		return explain(err)
	}
	var left []string
	for _, pod := range leaving(list.Items) {
		refusal, err := c.evict(ctx, pod)
		if err != nil {
			return explain(err)
		}
		left = append(left, strings.TrimSpace(pod.Namespace+"/"+pod.Name+" "+refusal))
	}
	return whyNotDrained(left), nil
}

// evict asks a pod to leave that was not asked before, and tells why it may not.
func (c *Client) evict(ctx context.Context, pod corev1.Pod) (refusal string, err error) {
	if pod.DeletionTimestamp != nil {
		return "", nil
	}
	err = c.set.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
	})
	switch {
	case apierrors.IsTooManyRequests(err):
		return "(" + firstLine(err.Error()) + ")", nil
	case apierrors.IsNotFound(err):
		return "", nil
	default:
		return "", err
	}
}

// leaving are the pods that a drain moves: those of a controller that makes them anew elsewhere. A DaemonSet makes its
// pod on the same node, a static pod is the node's own, and a pod of no controller would be lost.
func leaving(pods []corev1.Pod) []corev1.Pod {
	var leaving []corev1.Pod
	for _, pod := range pods {
		_, static := pod.Annotations[corev1.MirrorPodAnnotationKey]
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		controller := metav1.GetControllerOf(&pod)
		if static || finished || controller == nil || controller.Kind == "DaemonSet" || controller.Kind == "Node" {
			continue
		}
		leaving = append(leaving, pod)
	}
	return leaving
}

func whyNotDrained(left []string) string {
	const shown = 3
	if len(left) > shown {
		left = append(left[:shown:shown], fmt.Sprintf("%d more", len(left)-shown))
	}
	return strings.Join(left, ", ")
}

// cordon leaves alone a node that is closed already, and one that is not there.
func (c *Client) cordon(ctx context.Context, name string) error {
	node, err := c.set.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || (err == nil && node.Spec.Unschedulable) {
		return nil
	}
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}},"spec":{"unschedulable":true}}`, drainedAnnotation)
	_, err = c.set.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// Uncordon opens a node that Drain closed.
func (c *Client) Uncordon(ctx context.Context, name string) (string, error) {
	node, err := c.set.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return explain(err)
	}
	if _, ours := node.Annotations[drainedAnnotation]; !ours {
		return "", nil
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:null}},"spec":{"unschedulable":null}}`, drainedAnnotation)
	_, err = c.set.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return explain(err)
}
