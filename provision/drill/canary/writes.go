package canary

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// What is written bears one of two labels, so that ballast can be taken away alone.
const (
	kindLabel = "bronze-drill/kind"
	written   = "write"
	ballast   = "ballast"
	// pageSize bounds one answer of a list.
	pageSize = 500
)

func record(key, kind string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: key, Labels: map[string]string{kindLabel: kind}}}
}

// Write stores the key as a ConfigMap of that name, and answers nil once that is acknowledged.
func (c *Canary) Write(ctx context.Context, key string) error {
	return c.call(ctx, func(api kubernetes.Interface) error {
		_, err := api.CoreV1().ConfigMaps(c.space()).Create(ctx, record(key, written), metav1.CreateOptions{})
		return made(err)
	})
}

// Written are the keys that are there, as a quorum of etcd has them.
func (c *Canary) Written(ctx context.Context) (map[string]bool, error) {
	found := map[string]bool{}
	options := metav1.ListOptions{LabelSelector: kindLabel + "=" + written, Limit: pageSize}
	for {
		err := c.call(ctx, func(api kubernetes.Interface) error {
			list, err := api.CoreV1().ConfigMaps(c.space()).List(ctx, options)
			if err != nil {
				return err
			}
			for _, one := range list.Items {
				found[one.Name] = true
			}
			options.Continue = list.Continue
			return nil
		})
		if err != nil || options.Continue == "" {
			return found, err
		}
	}
}

// Fill stores about so many bytes of ballast. A refusal names its reason and nothing of the object.
func (c *Canary) Fill(ctx context.Context, bytes int) error {
	return c.call(ctx, func(api kubernetes.Interface) error {
		object := record("", ballast)
		object.GenerateName = "ballast-"
		object.Data = map[string]string{"ballast": strings.Repeat("x", bytes)}
		_, err := api.CoreV1().ConfigMaps(c.space()).Create(ctx, object, metav1.CreateOptions{})
		return err
	})
}

// Empty takes the ballast away.
func (c *Canary) Empty(ctx context.Context) error {
	return persist(ctx, func(ctx context.Context) error {
		return c.call(ctx, func(api kubernetes.Interface) error {
			return gone(api.CoreV1().ConfigMaps(c.space()).DeleteCollection(ctx, metav1.DeleteOptions{},
				metav1.ListOptions{LabelSelector: kindLabel + "=" + ballast}))
		})
	})
}

// Uproot takes the data off the volumes where a pod serves it, then all objects away, those of earlier runs too, and waits
// until only empty namespaces are left, which end by themselves.
func (c *Canary) Uproot(ctx context.Context) error {
	for i := range c.nodes {
		limited, cancel := context.WithTimeout(ctx, podLimit)
		// A volume that nobody serves any more keeps its file: its node is gone with it, or will be.
		_ = c.call(limited, func(api kubernetes.Interface) error {
			_, err := c.through(api, "DELETE", i, "").DoRaw(limited)
			return err
		})
		cancel()
	}
	c.nodes = nil
	err := persist(ctx, func(ctx context.Context) error {
		return c.call(ctx, func(api kubernetes.Interface) error { return removeAll(ctx, api) })
	})
	if err != nil {
		return fmt.Errorf("taking the canary away: %w", err)
	}
	return nil
}

// removeAll takes away the content of all canaries' namespaces, and lets them end.
func removeAll(ctx context.Context, api kubernetes.Interface) error {
	ours := metav1.ListOptions{LabelSelector: Selector}
	if err := api.CoreV1().PersistentVolumes().DeleteCollection(ctx, metav1.DeleteOptions{}, ours); err != nil {
		return err
	}
	spaces, err := api.CoreV1().Namespaces().List(ctx, ours)
	if err != nil {
		return err
	}
	for _, space := range spaces.Items {
		if space.DeletionTimestamp != nil {
			continue
		}
		if err := empty(ctx, api, space.Name); err != nil {
			return err
		}
		if err := gone(api.CoreV1().Namespaces().Delete(ctx, space.Name, metav1.DeleteOptions{})); err != nil {
			return err
		}
	}
	return nil
}

// empty ends without an error once the pods and their claims are gone: a namespace in which something still ends is looked
// at again by Kubernetes only after many seconds.
func empty(ctx context.Context, api kubernetes.Interface, space string) error {
	now, all := int64(0), metav1.ListOptions{}
	core := api.CoreV1()
	err := errors.Join(
		gone(api.AppsV1().StatefulSets(space).Delete(ctx, name, metav1.DeleteOptions{})),
		core.Pods(space).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, all),
		core.PersistentVolumeClaims(space).DeleteCollection(ctx, metav1.DeleteOptions{}, all),
	)
	if err != nil {
		return err
	}
	claims, err := core.PersistentVolumeClaims(space).List(ctx, all)
	if left := len(claims.Items); err == nil && left > 0 {
		err = fmt.Errorf("%d claims are still there", left)
	}
	return err
}
