package kube

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

const (
	// releases is how many objects are deleted side by side.
	releases = 8
	// outOfServiceValue is the taint's value as Kubernetes's own documentation has it; nothing depends on it.
	outOfServiceValue = "nodeshutdown"
)

// errOther: the Node of that name is not the one that was meant. Nothing is to be done to it then.
var errOther = errors.New("the node is gone, or another by now")

// OutOfService taints the Node of that UID, and lets go of its pods and volumes. Kubernetes itself does that only where
// it has found out that the Node is not ready, which takes it 40 s after a machine was removed; a StatefulSet makes its
// pod anew no earlier. So the caller has proven that nothing runs on that machine any more.
func (c *Client) OutOfService(ctx context.Context, name, uid string) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return c.taint(ctx, name, uid) })
	if errors.Is(err, errOther) {
		return nil
	}
	if err != nil {
		return cannot(fmt.Sprintf("taint Kubernetes node %q", name), err)
	}
	return c.release(ctx, name)
}

// taint writes the Node as it was read, so that a change in between is a conflict.
func (c *Client) taint(ctx context.Context, name, uid string) error {
	node, err := c.meant(ctx, name, uid)
	if err != nil || outOfService(*node) {
		return err
	}
	node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{
		Key: corev1.TaintNodeOutOfService, Value: outOfServiceValue, Effect: corev1.TaintEffectNoExecute,
	})
	_, err = c.set.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
	return err
}

// meant is the Node of that name and UID, or errOther.
func (c *Client) meant(ctx context.Context, name, uid string) (*corev1.Node, error) {
	node, err := c.set.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || (err == nil && string(node.UID) != uid) {
		return nil, errOther
	}
	return node, err
}

// DeleteNode deletes the Node of that UID, with its lease, its volume attachments and its pods, which get no grace: there
// is no kubelet to end them. Its CSINode belongs to it, and goes by garbage collection.
func (c *Client) DeleteNode(ctx context.Context, name, uid string) error {
	_, err := c.meant(ctx, name, uid)
	if errors.Is(err, errOther) {
		return nil
	}
	if err != nil {
		return cannot(fmt.Sprintf("read Kubernetes node %q", name), err)
	}
	// Before the Node: a caller who dies in between finds the Node again, and goes on.
	if err := c.release(ctx, name); err != nil {
		return err
	}
	if err := c.deleteLease(ctx, name, uid); err != nil {
		return err
	}
	err = c.set.CoreV1().Nodes().Delete(ctx, name, ifUID(types.UID(uid)))
	if apierrors.IsConflict(err) {
		return nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return cannot(fmt.Sprintf("delete Kubernetes node %q", name), err)
	}
	// Again: a DaemonSet that tolerates every taint made its pod anew meanwhile.
	return c.release(ctx, name)
}

// deleteLease leaves a lease alone that belongs to another Node.
func (c *Client) deleteLease(ctx context.Context, name, uid string) error {
	leases := c.set.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	if err == nil && belongsTo(lease.OwnerReferences, uid) {
		err = leases.Delete(ctx, name, ifUID(lease.UID))
	}
	return cannot(fmt.Sprintf("delete the lease of Kubernetes node %q", name), unlessGone(err))
}

func belongsTo(owners []metav1.OwnerReference, uid string) bool {
	for _, owner := range owners {
		if string(owner.UID) == uid {
			return true
		}
	}
	return false
}

// release deletes the pods that are bound to a node, and the attachments of volumes to it.
func (c *Client) release(ctx context.Context, node string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return cannot(fmt.Sprintf("release the pods of Kubernetes node %q", node), c.releasePods(ctx, node))
	})
	group.Go(func() error {
		return cannot(fmt.Sprintf("release the volumes of Kubernetes node %q", node), c.releaseVolumes(ctx, node))
	})
	return group.Wait()
}

func (c *Client) releasePods(ctx context.Context, node string) error {
	list, err := c.set.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(releases)
	for _, pod := range list.Items {
		options, grace := ifUID(pod.UID), int64(0)
		options.GracePeriodSeconds = &grace
		group.Go(func() error {
			return unlessGone(c.set.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, options))
		})
	}
	return group.Wait()
}

func (c *Client) releaseVolumes(ctx context.Context, node string) error {
	attachments := c.set.StorageV1().VolumeAttachments()
	list, err := attachments.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, attachment := range list.Items {
		if attachment.Spec.NodeName != node {
			continue
		}
		if err := unlessGone(attachments.Delete(ctx, attachment.Name, ifUID(attachment.UID))); err != nil {
			return err
		}
	}
	return nil
}

// ifUID deletes only the object that was seen, not one that was made under its name since.
func ifUID(uid types.UID) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
}

// unlessGone is nil where the object that was to be deleted is there no more.
func unlessGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
