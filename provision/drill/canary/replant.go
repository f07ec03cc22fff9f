package canary

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Replant gives the pods whose nodes are lost new volumes on those of the nodes that have none yet, and new data.
func (c *Canary) Replant(ctx context.Context, lost, nodes []string) error {
	for i, node := range c.nodes {
		if !slices.Contains(lost, node) {
			continue
		}
		j := slices.IndexFunc(nodes, func(other string) bool { return !slices.Contains(c.nodes, other) })
		if j < 0 {
			return fmt.Errorf("cannot replant %s of %s: every other node has a pod", podName(i), node)
		}
		if err := c.move(ctx, i, nodes[j]); err != nil {
			return fmt.Errorf("replanting %s on %s: %w", podName(i), nodes[j], err)
		}
	}
	return nil
}

// move takes the old claim, pod and volume away, all by their identity, as their successors have the same names.
func (c *Canary) move(ctx context.Context, i int, node string) error {
	old, err := c.claimOf(ctx, i)
	if err != nil {
		return err
	}
	before := volume(i, c.nodes[i], c.space()).Name
	c.nodes[i] = node
	err = persist(ctx, func(ctx context.Context) error {
		return c.call(ctx, func(api kubernetes.Interface) error { return c.exchange(ctx, api, i, old, before) })
	})
	if err != nil {
		return err
	}
	return c.store(ctx, i)
}

func (c *Canary) claimOf(ctx context.Context, i int) (uid types.UID, err error) {
	err = persist(ctx, func(ctx context.Context) error {
		return c.call(ctx, func(api kubernetes.Interface) error {
			claim, err := api.CoreV1().PersistentVolumeClaims(c.space()).Get(ctx, claimName(i), metav1.GetOptions{})
			uid = claim.GetUID()
			return gone(err)
		})
	})
	return uid, err
}

// exchange ends without an error once the claim is another than the old one, and its volume is there. A claim goes only
// after the pod that uses it.
func (c *Canary) exchange(ctx context.Context, api kubernetes.Interface, i int, old types.UID, before string) error {
	core := api.CoreV1()
	claim, err := core.PersistentVolumeClaims(c.space()).Get(ctx, claimName(i), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return err
	case claim.UID == old:
		at := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &old}}
		now := int64(0)
		return errors.Join(
			gone(core.PersistentVolumeClaims(c.space()).Delete(ctx, claimName(i), at)),
			gone(core.Pods(c.space()).Delete(ctx, podName(i), metav1.DeleteOptions{GracePeriodSeconds: &now})),
			gone(core.PersistentVolumes().Delete(ctx, before, metav1.DeleteOptions{})),
			errors.New("the old claim is still there"))
	}
	_, err = core.PersistentVolumes().Create(ctx, volume(i, c.nodes[i], c.space()), metav1.CreateOptions{})
	return made(err)
}
